//! Files of measurements, and what people type.

use crate::Seeds;

fn bytes(texts: &[(&'static str, &str)]) -> Seeds {
    texts.iter().map(|(name, text)| (*name, text.as_bytes().to_vec())).collect()
}

pub fn csv() -> Seeds {
    bytes(&[
        ("plain", "time,room,co2,ok\n2024-01-31T12:00:00Z,A,612.5,true\n2024-01-31 12:01,B,,false\n1706702520,,7,\n"),
        ("quotes", "time,\"a,b\",text\n1,\"say \"\"hi\"\"\",\"two\nlines\"\n2,,\"\"\n3,x,\" padded \"\n"),
        ("semicolons", "\u{feff}Timestamp;u;d\r\n1700000000123;18446744073709551615;0.05\r\n1700000000124;1;-1e-3\r\n"),
        ("bad-rows", "ts,v\n1,1\nnoon,2\n3\n4,x\n5,\"open\n6,6\n7,NaN\n"),
        ("fine-times", "time,v\n2024-01-31T12:00:00.123456789+01:30,1\n1700000000123456789,2\n0001-01-01,3\n"),
        ("late-types", "time,a,b\n1,,\n2,,\n3,,\n4,5,x\n5,,2024-01-01\n"),
    ])
}

pub fn json_lines() -> Seeds {
    bytes(&[
        (
            "plain",
            "{\"time\":\"2024-01-31T12:00:00Z\",\"room\":\"A\",\"co2\":612.5,\"ok\":true}\n{\"time\":1706702520,\"n\":-3}\n",
        ),
        (
            "escapes",
            "{\"time\":1,\"a\\u00e4\":\"x\\n\\\"y\\\"\",\"e\":\"\"}\n\n{\"time\":2,\"e\":null,\"b\":\"\\ud83d\\ude00\"}\n",
        ),
        (
            "bad-rows",
            "{\"time\":1,\"v\":1}\n[1]\n{\"time\":2,\"v\":{}}\n{\"v\":3}\n{\"time\":3,\"v\":\"x\"}\n{\"time\":4,\"v\":4,\"v\":5}\n",
        ),
        (
            "numbers",
            "{\"ts\":1700000000123456789,\"u\":18446744073709551615,\"f\":1e300,\"g\":-0.0}\n{\"ts\":5,\"u\":1,\"f\":\"NaN\"}\n",
        ),
        ("late", "{\"time\":1,\"a\":null}\n{\"time\":2}\n{\"time\":3}\n{\"time\":4,\"a\":1,\"b\":false}\n"),
    ])
}

pub fn line_protocol() -> Seeds {
    bytes(&[
        (
            "plain",
            "air,room=A,site=n co2=612.5,n=3i,u=4u,ok=t,s=\"x y\" 1700000000000000000\nair,room=B co2=1e3 1700000001000000000\n",
        ),
        ("escapes", "my\\ plant\\,a=b,the\\ tag\\=x=v\\,1\\ 2 f\\,\\ \\==\"q\\\"u\\\\o\\te\",g=\"\" 1\n# a comment\n"),
        ("others", "air f=1 1\nwater f=2 2\nair f=t 3\nair,f=x g=1 4\nair g=2i\nair g=3 5 6\n"),
        ("blanks", "  m   f=1e3   -5  \r\n\nm f=NaN,g=inf 9\nm,t=ü f=-9223372036854775808i 10\n"),
    ])
}

/// As files of line protocol, in one unit of time after the other.
pub fn write() -> Seeds {
    let units = (0..6_u8).cycle();
    line_protocol().into_iter().zip(units).map(|((name, text), unit)| (name, [&[unit], &text[..]].concat())).collect()
}

pub fn query() -> Seeds {
    bytes(&[
        (
            "conditions",
            "tag=A\ntag!=B\ntag in (A,'a b',\"\")\nfloat64>=1.5\nint64 < -3\nuint64>99\nbool=true\nutf8 in (x,yes)\ndecimal<=12.5\nbinary=AQ==",
        ),
        (
            "quotes",
            "'p in (x)' >= 3\n\"a=b\"=c\nutf8='it''s'\nfloat32=NaN\nfloat64!=nan\nfloat64 in (1.5, inf, NaN)\nhey!there=x",
        ),
        ("durations", "90s\n1h30m\n250ms\n7us\n1d\n1w\n1mo\n1y2mo3s\n500000y"),
        (
            "moments",
            "now\n-1h\nnow - 90s\n+5m\n-1mo\n2024-03-31\n2024-03-31T12:00:00.25+02:00\n1711879200\n-1711879200000\n9999-12-31T23:59:59Z",
        ),
    ])
}

pub fn grant() -> Seeds {
    let grants = [
        "read,write table:air_* where device=${principal} and site=a|b",
        "all key:${principal}/*",
        "consume queue:\"two words\"",
        "operate,administer everything",
        "read table:t where \"odd tag\"=\"a|b\"|\"\\\"\"",
    ];
    let patterns = ["a*b*c|aXbYc", "${principal}/*|p/x", "*|", "air|air"];
    vec![("grants", grants.join("\n").into_bytes()), ("patterns", patterns.join("\n").into_bytes())]
}

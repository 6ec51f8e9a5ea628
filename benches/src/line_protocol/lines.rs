//! What is written: bodies made once, in which only the times change from request to request.

use std::fmt::Write;

/// Lines of a request: as many as Telegraf sends by default.
pub(super) const LINES: usize = 1_000;
/// Digits of a time in nanoseconds.
const DIGITS: usize = 19;

/// Which lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    /// One measurement of ten numbers and a tag.
    Fleet,
    /// Some of Telegraf's own, with text, truth values and integers.
    Mixed,
}

/// A request, but for its times.
#[derive(Debug, Clone)]
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// Where the times are.
    times: Vec<usize>,
    /// Fields of its lines.
    pub(super) points: usize,
}

impl Stream {
    pub(super) const ALL: [Stream; 2] = [Stream::Fleet, Stream::Mixed];

    pub(super) fn describe(self) -> &'static str {
        match self {
            Stream::Fleet => "one measurement, 1,000 series of a client, ten floats in a line",
            Stream::Mixed => "five measurements of Telegraf's, 200 hosts of a client",
        }
    }

    /// A measurement and field that `LINES / share` lines of each request have.
    pub(super) fn counted(self) -> (&'static str, &'static str, u64) {
        match self {
            Stream::Fleet => ("fleet", "f0", 1),
            Stream::Mixed => ("mem", "used", 5),
        }
    }

    /// The request of a client, with values of its own.
    pub(super) fn body(self, client: usize) -> Body {
        let mut body = Body { bytes: Vec::new(), times: Vec::new(), points: 0 };
        let mut line = String::new();
        for number in 0..LINES {
            line.clear();
            let seed = client * LINES + number;
            // A String takes all that is written to it.
            let _ = match self {
                Stream::Fleet => fleet(&mut line, seed),
                Stream::Mixed => mixed(&mut line, number % 5, client * LINES + number / 5),
            };
            body.points += line.matches('=').count() - line.split(' ').next().map_or(0, |key| key.matches('=').count());
            body.bytes.extend_from_slice(line.as_bytes());
            body.times.push(body.bytes.len());
            body.bytes.extend_from_slice(&[b'0'; DIGITS]);
            body.bytes.push(b'\n');
        }
        body
    }
}

fn fleet(line: &mut String, seed: usize) -> std::fmt::Result {
    write!(line, "fleet,device=device-{seed:05}")?;
    for field in 0..10 {
        let value = (seed * (field + 3)) % 10_000;
        write!(line, "{}f{field}={}.{:02}", if field == 0 { ' ' } else { ',' }, value / 100, value % 100)?;
    }
    line.write_char(' ')
}

fn mixed(line: &mut String, measurement: usize, host: usize) -> std::fmt::Result {
    let (whole, part) = (host % 97, host % 89);
    match measurement {
        0 => write!(
            line,
            "cpu,cpu=cpu-total,host=gateway-{host:05} usage_idle={whole}.{part:02},usage_user={part}.{whole:02},usage_system=1.5,usage_iowait=0,usage_steal=0,usage_nice=0.25 "
        ),
        1 => write!(
            line,
            "mem,host=gateway-{host:05} used={}i,total=8201625600i,free={}i,used_percent={whole}.{part:02},swap_free=0i ",
            1_000_000 + host * 4_096,
            8_200_000_000 - host * 4_096
        ),
        2 => write!(
            line,
            "disk,device=sda1,fstype=ext4,host=gateway-{host:05},mode=rw,path=/media/USB\\ Stick free={}i,total=62725623808i,used_percent={part}.5,inodes_free={whole}i ",
            host * 4_096
        ),
        3 => write!(
            line,
            "net,host=gateway-{host:05},interface=eth0 bytes_recv={}i,bytes_sent={}i,drop_in={part}i,drop_out=0i,err_in=0i,err_out=0i,packets_recv={whole}i,packets_sent={part}i ",
            host * 1_000_003,
            host * 10_007
        ),
        _ => write!(
            line,
            "mqtt_consumer,host=gateway-{host:05},topic=plant/line{part} state=\"running, {whole}\",ok=true,level={whole}.{part:02} "
        ),
    }
}

impl Body {
    /// Sets all times, in nanoseconds since 1970.
    pub(super) fn set_time(&mut self, nanos: u64) {
        let digits = format!("{nanos:0DIGITS$}");
        for at in &self.times {
            self.bytes[*at..at + DIGITS].copy_from_slice(digits.as_bytes());
        }
    }
}

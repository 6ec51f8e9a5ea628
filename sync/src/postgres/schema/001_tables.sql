-- What the centre keeps of all gateways. Gateways have no rights here: the functions of alluvium_v1 write, which run as the owner.
--
-- A gateway is an integer, and an incarnation its order number within it, so that keys are short. There are no foreign keys: nobody but the functions
-- writes, each of them holding the lock on the gateway's row, and a check for each row of each cut would cost more than the row.
-- Hashes and incarnations are bytes. Records, cuts and sequences are those of the gateway's log, so they are never negative.

-- One row for each gateway: its secret and its head. Every cut changes the head, so no index has a column of it, and half of every page is free: the
-- new version of a row lies beside the old one, and no index is touched (a HOT update).
CREATE TABLE alluvium.gateways (
    gateway          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text COLLATE "C" NOT NULL UNIQUE,
    secret           bytea NOT NULL,             -- the SHA-256 of the secret's text; the secret itself is nowhere
    created_at       timestamptz NOT NULL DEFAULT now(),
    rotated_at       timestamptz,
    retired_at       timestamptz,                -- from then on its secret is refused; its rows stay
    head_incarnation bytea,
    head_order       integer,                    -- the order number of that
    head_cut         bigint,
    head_hash        bytea,                      -- of the manifest
    head_through     bigint,                     -- the last record
    head_sealed_at   timestamptz,
    audit_number     bigint,
    audit_hash       bytea,
    api              smallint,                   -- the version of the functions that it called last
    seen_at          timestamptz                 -- when it last wrote
) WITH (fillfactor = 50);

-- The incarnations of a gateway, in the order in which they came. The head and all cuts that it follows are the branch: of an incarnation that the head
-- left behind only the cuts up to the fork are on it.
CREATE TABLE alluvium.incarnations (
    gateway       integer NOT NULL,
    number        integer NOT NULL,              -- the order number: 1, 2, …
    incarnation   bytea NOT NULL,
    forked_from   integer,                       -- the incarnation of the cut that its first one follows …
    forked_at     bigint,                        -- … and that cut
    branch_cut    bigint,                        -- on the branch up to this cut; null: all, 0: none
    branch_record bigint,                        -- the last record of that cut
    metadata_whole boolean NOT NULL DEFAULT false, -- it sent all metadata that there are, so those of earlier ones hold no more
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gateway, number),
    UNIQUE (gateway, incarnation)
);

-- Every cut that was ever registered. Nothing changes here but metadata_there.
CREATE TABLE alluvium.cuts (
    gateway          integer NOT NULL,
    incarnation      integer NOT NULL,
    cut              bigint NOT NULL,
    hash             bytea NOT NULL,             -- of the manifest
    after_record     bigint NOT NULL,
    through_record   bigint NOT NULL,
    sealed_at        timestamptz NOT NULL,
    audit_number     bigint,
    audit_hash       bytea,
    metadata_hash    bytea,
    metadata_bytes   bigint,
    metadata_keys    bigint,
    metadata_after   bigint,
    metadata_through bigint,
    metadata_at      timestamptz,
    metadata_there   boolean NOT NULL,           -- whether the lines came; true where there are none
    registered_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gateway, incarnation, cut)
);
CREATE INDEX cuts_without_metadata ON alluvium.cuts (gateway, incarnation, cut) WHERE NOT metadata_there;

-- What cuts announce. The key begins with what a segment is compared by.
CREATE TABLE alluvium.units (
    gateway      integer NOT NULL,
    incarnation  integer NOT NULL,
    table_number bigint NOT NULL,
    last_record  bigint NOT NULL,
    first_record bigint NOT NULL,
    period_kind  smallint NOT NULL,              -- 1 hour, 2 day, 3 month, 4 year
    period_start bigint NOT NULL,                -- the second since 1970
    cut          bigint NOT NULL,
    rows         bigint NOT NULL,
    first_time   bigint NOT NULL,                -- in the table's unit
    last_time    bigint NOT NULL,
    held         boolean NOT NULL DEFAULT false, -- whether a registered segment holds it
    PRIMARY KEY (gateway, incarnation, table_number, last_record, first_record, period_kind, period_start)
);
CREATE INDEX units_not_held ON alluvium.units (gateway, incarnation, cut) WHERE NOT held;

-- Confirmed segments. Partitioned by the month in which their period begins, since that is what readers ask for and what an operator gives up first, and
-- since it follows from the object's name: the same segment, which its hash tells from others, meets its first row when it is registered again. Clocks are wrong and input is hostile, so gateways never
-- make a partition: migrate does, for months around its own time, and everything else lies in the default one.
CREATE SEQUENCE alluvium.segment_ids;
CREATE TABLE alluvium.segments (
    id            bigint NOT NULL DEFAULT nextval('alluvium.segment_ids'), -- in the order in which a gateway registered them
    gateway       integer NOT NULL,
    incarnation   integer NOT NULL,
    table_number  bigint NOT NULL,
    table_name    text NOT NULL,                 -- as in the object's name
    period_kind   smallint NOT NULL,
    period_start  bigint NOT NULL,
    period_end    bigint,                        -- null in the far past and future, whose calendar nobody needs
    month         date NOT NULL,                 -- the first day of the month in which the period begins
    first_record  bigint NOT NULL,
    last_record   bigint NOT NULL,
    rows          bigint NOT NULL,
    bytes         bigint NOT NULL,
    first_time    bigint NOT NULL,
    last_time     bigint NOT NULL,
    hash          bytea NOT NULL,
    target        text NOT NULL,                 -- where it was confirmed
    key           text NOT NULL,                 -- the object's name there
    registered_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gateway, incarnation, table_number, last_record, hash, target, month)
) PARTITION BY RANGE (month);
CREATE INDEX segments_in_order ON alluvium.segments (gateway, id);
CREATE TABLE alluvium.segments_default PARTITION OF alluvium.segments DEFAULT;

-- Losses that cuts state.
CREATE TABLE alluvium.gaps (
    gateway      integer NOT NULL,
    incarnation  integer NOT NULL,
    cut          bigint NOT NULL,
    number       integer NOT NULL,               -- its place in the manifest
    noticed_at   timestamptz NOT NULL,
    kind         text NOT NULL,
    first_record bigint,
    last_record  bigint,
    table_number bigint,
    first_time   bigint,
    last_time    bigint,
    detail       text NOT NULL,
    PRIMARY KEY (gateway, incarnation, cut, number)
);

-- Tables that were dropped by the end of a cut, with all rows that they had.
CREATE TABLE alluvium.drops (
    gateway        integer NOT NULL,
    incarnation    integer NOT NULL,
    cut            bigint NOT NULL,
    table_number   bigint NOT NULL,
    through_record bigint NOT NULL,
    PRIMARY KEY (gateway, incarnation, cut, table_number)
);

-- Rows that were deleted, as cuts tell.
CREATE TABLE alluvium.erasures (
    gateway      integer NOT NULL,
    incarnation  integer NOT NULL,
    cut          bigint NOT NULL,
    number       integer NOT NULL,               -- its place in the manifest
    sequence     bigint NOT NULL,
    table_number bigint NOT NULL,
    series       jsonb NOT NULL,                 -- "all" or {"only": [...]}
    from_time    bigint NOT NULL,
    to_time      bigint NOT NULL,
    PRIMARY KEY (gateway, incarnation, cut, number)
);

-- Tables as the last cut that spoke of them has them.
CREATE TABLE alluvium.announced_tables (
    gateway      integer NOT NULL,
    table_number bigint NOT NULL,
    name         text NOT NULL,
    unit         text NOT NULL,
    dropped      boolean NOT NULL,
    incarnation  integer NOT NULL,
    cut          bigint NOT NULL,                -- when this came to be so
    PRIMARY KEY (gateway, table_number)
);

-- Replicated metadata: the newest line of each key. A key may be longer than an index takes, so its digest stands for it.
CREATE TABLE alluvium.metadata (
    gateway     integer NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    digest      bytea NOT NULL,                  -- the SHA-256 of the key as a JSON array
    key         text[] NOT NULL,
    incarnation integer NOT NULL,
    sequence    bigint NOT NULL,
    cut         bigint NOT NULL,                 -- the cut it came with
    value       jsonb,                           -- null: there is none any more
    changed_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (gateway, kind, digest)
);

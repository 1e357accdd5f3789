//! The options of etcd as agents are told them: a text, and its digest, by which both programs know it.

/// FNV-1a, 64 bit, as sixteen digits. The text itself is held against another only where they are the same program's:
/// nobody gains by a collision.
#[must_use]
pub fn digest(said: &str) -> String {
    let hash = said
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_changes() {
        // From the table of http://www.isthe.com/chongo/src/fnv/test_fnv.c.
        assert_eq!([digest(""), digest("foobar")], ["cbf29ce484222325", "85944171f73967e8"]);
    }
}

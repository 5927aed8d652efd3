//! The examples of RFC 7541, appendix C: the table and its size after each block.

use super::*;

/// A block in hexadecimal digits, and the entries and the size of the table after it.
type Example = (&'static str, &'static [(&'static str, &'static str)], usize);

const AUTHORITY: (&str, &str) = (":authority", "www.example.com");
const NO_CACHE: (&str, &str) = ("cache-control", "no-cache");
const CUSTOM: (&str, &str) = ("custom-key", "custom-value");

/// The tables of the requests, plain and Huffman-coded.
const REQUESTS: [(&[(&str, &str)], usize); 3] = [
    (&[AUTHORITY], 57),
    (&[NO_CACHE, AUTHORITY], 110),
    (&[CUSTOM, NO_CACHE, AUTHORITY], 164),
];

const LOCATION: (&str, &str) = ("location", "https://www.example.com");
const DATE: (&str, &str) = ("date", "Mon, 21 Oct 2013 20:13:21 GMT");
const PRIVATE: (&str, &str) = ("cache-control", "private");

/// The tables of the responses, which have a size of 256 bytes.
const RESPONSES: [(&[(&str, &str)], usize); 3] = [
    (&[LOCATION, DATE, PRIVATE, (":status", "302")], 222),
    (&[(":status", "307"), LOCATION, DATE, PRIVATE], 222),
    (
        &[
            (
                "set-cookie",
                "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ),
            ("content-encoding", "gzip"),
            ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
        ],
        215,
    ),
];

fn bytes(digits: &str) -> Vec<u8> {
    let digits: String = digits.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}

/// Reads the blocks one after the other, and rewrites them from the second on.
fn assert_examples(
    most: usize,
    blocks: [&'static str; 3],
    tables: [(&'static [(&'static str, &'static str)], usize); 3],
) {
    let mut size = Vec::new();
    write_number(most, 5, 0x20, &mut size);
    let (mut table, mut rewriting) = (table_of(&[&size]), table_of(&[&size]));
    let examples = blocks.into_iter().zip(tables);
    for (place, (block, (entries, size))) in examples.enumerate() {
        let example: Example = (block, entries, size);
        let block = bytes(block);
        let summary = table.read(&block, &check()).unwrap();
        assert!(summary.changes_table, "{example:?}");
        assert!(!summary.is_path, "{example:?}");
        if place == 0 {
            let withheld = rewriting.read(&block, &check()).unwrap();
            rewriting.withhold(withheld);
        } else {
            let mut out = Vec::new();
            let rewritten = rewriting.rewrite(&block, &check(), 1 << 10, &mut out);
            assert_eq!(rewritten.unwrap(), summary);
        }
        for table in [&table, &rewriting] {
            let expected: Headers = entries
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
                .collect();
            assert_eq!(contents(table), expected, "{example:?}");
            assert_eq!(table.size, size, "{example:?}");
            assert_is_bounded(table);
        }
    }
}

#[test]
fn a_field_enters_the_table_or_does_not() {
    let field = "6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    let table = table_of(&[&bytes(&format!("400a {field}"))]);
    let expected = ("custom-key".to_owned(), b"custom-header".to_vec());
    assert_eq!((contents(&table), table.size), (vec![expected], 55));
    for block in [
        "040c 2f73 616d 706c 652f 7061 7468",
        "1008 7061 7373 776f 7264 0673 6563 7265 74",
        "82",
    ] {
        let table = table_of(&[&bytes(block)]);
        assert_eq!((contents(&table), table.size), (vec![], 0), "{block}");
    }
    let path = ExpectedPath::new("/sample/path");
    let block = bytes("040c 2f73 616d 706c 652f 7061 7468");
    assert!(HeaderTable::new().read(&block, &path).unwrap().is_path);
}

#[test]
fn requests_without_huffman_coding() {
    let blocks = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    assert_examples(DEFAULT_SIZE, blocks, REQUESTS);
}

#[test]
fn requests_with_huffman_coding() {
    let blocks = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    assert_examples(DEFAULT_SIZE, blocks, REQUESTS);
}

#[test]
fn responses_without_huffman_coding() {
    let blocks = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
         6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
         3d31",
    ];
    assert_examples(256, blocks, RESPONSES);
}

#[test]
fn responses_with_huffman_coding() {
    let blocks = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
         9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    assert_examples(256, blocks, RESPONSES);
}

#[test]
fn the_static_table_has_the_names_of_the_rfc() {
    for (index, name) in [
        (1, ":authority"),
        (2, ":method"),
        (3, ":method"),
        (4, ":path"),
        (5, ":path"),
        (6, ":scheme"),
        (8, ":status"),
        (14, ":status"),
        (15, "accept-charset"),
        (31, "content-type"),
        (61, "www-authenticate"),
    ] {
        assert_eq!(entry::static_name(index), name, "{index}");
    }
    // The transport shows what each index is to it.
    for index in 15..=LAST_STATIC {
        let mut field = Vec::new();
        write_number(index, 6, 0x40, &mut field);
        field.extend(text("1", false));
        let block = with(&field);
        assert_table(&call(1, &block, &[]), &contents(&table_of(&[&block])));
    }
}

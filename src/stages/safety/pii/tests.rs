use proptest::prelude::*;

use super::*;
use crate::config::safety::{Action, Actions};
use crate::draw::Draw;
use crate::stages::safety::screen::Screen;
use crate::stages::safety::words::WordLists;

/// What must be found, and nothing else: the text, the category, the place.
const POSITIVE: &[(&str, Category, &str)] = &[
    ("Write to ann.lee@mailbox.org.", Category::Email, "ann.lee@mailbox.org"),
    ("<JO+news@sub.mail-host.co.uk>", Category::Email, "JO+news@sub.mail-host.co.uk"),
    ("mailto:x_1%y@a1.io, thanks", Category::Email, "x_1%y@a1.io"),
    ("jürgen@müller.de schreibt", Category::Email, "jürgen@müller.de"),
    ("It is marta at gmail dot com, all small", Category::Email, "marta at gmail dot com"),
    ("marta(at)posteo(dot)de", Category::Email, "marta(at)posteo(dot)de"),
    ("他的邮箱是 li.wei@qq.com。", Category::Email, "li.wei@qq.com"),
    ("Call +1 415 737 2881 now", Category::Phone, "+1 415 737 2881"),
    ("Call me: (415) 737-2881.", Category::Phone, "(415) 737-2881"),
    ("415-737-2881", Category::Phone, "415-737-2881"),
    ("415.737.2881!", Category::Phone, "415.737.2881"),
    ("1-800-343-2881", Category::Phone, "1-800-343-2881"),
    ("+44 20 7123 8844 is the office", Category::Phone, "+44 20 7123 8844"),
    ("+49 (0)30 8812 4470", Category::Phone, "+49 (0)30 8812 4470"),
    ("0049 30 88124470", Category::Phone, "0049 30 88124470"),
    ("+33612345678", Category::Phone, "+33612345678"),
    ("+86 138 0013 8011", Category::Phone, "+86 138 0013 8011"),
    ("06 12 34 56 78, c'est moi", Category::Phone, "06 12 34 56 78"),
    ("Ruf 030 88124470 an", Category::Phone, "030 88124470"),
    ("0176/88124470", Category::Phone, "0176/88124470"),
    ("020 7123 8844.", Category::Phone, "020 7123 8844"),
    ("(0221) 88 12 44 71", Category::Phone, "(0221) 88 12 44 71"),
    ("text me at 4157372881", Category::Phone, "4157372881"),
    ("My phone number is 737-2881", Category::Phone, "737-2881"),
    ("Tel.: 0891234567", Category::Phone, "0891234567"),
    ("4539 1488 0343 6467", Category::CreditCard, "4539 1488 0343 6467"),
    ("my card, 4539148803436467, is", Category::CreditCard, "4539148803436467"),
    ("4539-1488-0343-6467 12/27", Category::CreditCard, "4539-1488-0343-6467"),
    ("3782 822463 10013", Category::CreditCard, "3782 822463 10013"),
    ("5425 2334 3010 9903 and 123", Category::CreditCard, "5425 2334 3010 9903"),
    ("2223 0000 4841 0010", Category::CreditCard, "2223 0000 4841 0010"),
    ("6011 0009 9013 9432", Category::CreditCard, "6011 0009 9013 9432"),
    ("DE75 5121 0800 1245 1261 99 please", Category::Iban, "DE75 5121 0800 1245 1261 99"),
    ("GB94BARC10201530093459.", Category::Iban, "GB94BARC10201530093459"),
    ("fr7630006000011234567890189", Category::Iban, "fr7630006000011234567890189"),
    ("NO93 8601 1117 947", Category::Iban, "NO93 8601 1117 947"),
    ("It is 536-90-4399", Category::Ssn, "536-90-4399"),
    ("SSN 536 90 4399", Category::Ssn, "536 90 4399"),
    ("social security number: 536904399", Category::Ssn, "536904399"),
    ("ping 81.169.145.77 first", Category::IpAddress, "81.169.145.77"),
    ("It is 203.0.114.9.", Category::IpAddress, "203.0.114.9"),
    ("2a02:908:1a6::7c1f", Category::IpAddress, "2a02:908:1a6::7c1f"),
    ("https://jo:hunter2@db.corp.io/x.", Category::Credentials, "https://jo:hunter2@db.corp.io/x"),
    ("postgres://u:p4ss@10.0.0.1:5432/a", Category::Credentials, "postgres://u:p4ss@10.0.0.1:5432/a"),
    ("(https://api.corp.io/v1?token=a8f7d6e5c4)", Category::Credentials, "https://api.corp.io/v1?token=a8f7d6e5c4"),
    ("AKIAQYLPMN5HHHFPZAM2", Category::Credentials, "AKIAQYLPMN5HHHFPZAM2"),
    ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", Category::Credentials, "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
];

/// What is nobody's: wrong check digits, ranges that are never given out, numbers of other kinds, and what is set aside.
const NEGATIVE: &[&str] = &[
    "ann@example.com",
    "jo@mail.example.org",
    "x@host.test",
    "root@localhost",
    "@ann_lee said so",
    "meet me @ home at 5",
    "look at the dot on the map",
    "a@b",
    "ann.lee@mailbox",
    "jane at example dot com",
    "(415) 555-0123",
    "555-0123 is what films use",
    "call 911",
    "dial 311-555-1234",
    "+1 415 555 0199",
    "020 7946 0123",
    "+44 7700 900123",
    "030 23125 123",
    "on 2024-10-21 at 10:30:15",
    "01.02.2024",
    "from 1914-1918 to 1939-1945",
    "it costs 1 200 000 dollars",
    "10,000,000 of 20,000,000",
    "order number 4157372881",
    "0.123 456 789",
    "€0800 123 456",
    "room 200-2000",
    "3.14159265358979",
    "ISBN 978-3-16-148410-0",
    "a score of 102-98",
    "+5 -3 +12",
    "12:30-14:45",
    "4111 1111 1111 1111",
    "4242424242424242",
    "4539 1488 0343 6468",
    "1234 5678 9012 3456",
    "0000 0000 0000 0000",
    "45391488034364670000000",
    "DE89 3704 0044 0532 0130 00",
    "GB95BARC10201530093459",
    "ZZ75 BARC 1020 1530 0934 59",
    "GB94 is the first part",
    "000-12-3456",
    "666-12-3456",
    "912-12-3456",
    "536-00-4399",
    "536-90-0000",
    "078-05-1120",
    "987-65-4321",
    "536-90-43991",
    "536 90 4399",
    "127.0.0.1",
    "192.168.178.20",
    "10.1.2.3",
    "172.16.4.5",
    "203.0.113.9",
    "version 2.10.11.12",
    "v 12.10.11.13",
    "1.2.3.4",
    "8.8.8.8",
    "256.1.1.1",
    "81.169.145.77.3",
    "std::fs::read",
    "fe80::1",
    "2001:db8::7",
    "::1",
    "12:30:45",
    "https://example.com/?token=a8f7d6e5c4",
    "https://jo:pw@example.org/",
    "https://corp.io/path?page=2&size=10",
    "AKIAIOSFODNN7EXAMPLE",
    "sk-short",
    "http://corp.io:8080/a@b",
    "Chapter 12, verse 3-5, pages 100 200 300",
    "He ran 5 000 m in 15 45",
    "Ann, 34, weighs 61.5 kg",
];

#[test]
fn what_is_personal_data_is_found_where_it_is() {
    for (text, category, place) in POSITIVE {
        let findings = find(text).findings;
        let shown: Vec<(Category, &str)> = findings.iter().map(|f| (f.category, &text[f.range.clone()])).collect();
        assert_eq!(shown, [(*category, *place)], "{text}");
    }
    assert!(POSITIVE.len() >= 40);
}

#[test]
fn what_is_nobodys_is_left_alone() {
    let alarms: Vec<(&str, Vec<Finding>)> = NEGATIVE.iter().map(|text| (*text, find(text).findings)).collect();
    let alarms: Vec<_> = alarms.into_iter().filter(|(_, findings)| !findings.is_empty()).collect();
    assert!(alarms.is_empty(), "{alarms:#?}");
    assert!(NEGATIVE.len() >= 40);
}

#[test]
fn what_is_set_aside_is_counted() {
    let text = "ann@example.com, (415) 555-0123, 4111 1111 1111 1111, DE89 3704 0044 0532 0130 00, 192.168.0.1";
    let reserved = find(text).reserved;
    let expected = [Category::Email, Category::Phone, Category::CreditCard, Category::Iban, Category::IpAddress];
    assert_eq!(reserved, expected.into_iter().map(|category| (category, 1)).collect());
}

/// Lines of talk with the numbers that talk has.
const CLEAN: &[&str] = &[
    "I paid {n} euros for {m} chairs, and {k} of them were broken by Tuesday.",
    "The train leaves at {h}:{q}, platform {k}, so we have {m} minutes.",
    "In 19{q} there were {n} people here; now it is {m}{n}.",
    "Room {n}-{k}, second floor. The code on the door is {m}.",
    "She ran {n}.{k} km in {h}:{q}:{k}, which is {m} seconds off her record.",
    "We moved on 20{q}-0{k}-1{k} and again on 1{k}.0{k}.20{q}.",
    "Order {n}{m}{n} is late, the invoice says {n}.{m} and they want {k}{m},00.",
    "Take exit {k}, then the A{m} for {n} miles, past house {q}.",
    "Between {n} and {m}, I would take the second; {k} to {h} says it rains.",
    "Ask her yourself. She is at home, or at the dot of {h} in the garden.",
    "The recipe says {n} g flour, {m} ml milk and {k} eggs, 1{k}0 degrees.",
    "Paragraph {k}.{h}.{k}.{h} of the contract, page {n}, line {m}.",
];

fn numbers(draw: &mut Draw, count: usize) -> String {
    (0..count).map(|_| char::from(b'0' + u8::try_from(draw.below(10)).unwrap())).collect()
}

fn clean(draw: &mut Draw) -> String {
    let line = *draw.pick(CLEAN).unwrap();
    let mut line = line.to_owned();
    for (name, low, high) in [("{n}", 100, 999), ("{m}", 10, 99), ("{k}", 1, 9), ("{h}", 1, 12), ("{q}", 10, 59)] {
        while line.contains(name) {
            line = line.replacen(name, &draw.between(low, high).to_string(), 1);
        }
    }
    line
}

fn with_luhn(mut number: String) -> String {
    let check = (0..10).map(|digit| format!("{number}{digit}")).find(|whole| {
        let sum: u32 = whole.chars().rev().enumerate().fold(0, |sum, (at, c)| {
            let digit = c.to_digit(10).unwrap() * (1 + u32::try_from(at % 2).unwrap());
            sum + digit / 10 + digit % 10
        });
        sum.is_multiple_of(10)
    });
    number = check.unwrap();
    number
}

fn grouped(number: &str, sizes: &[usize], separator: &str) -> String {
    let mut rest = number;
    let mut groups = Vec::new();
    for size in sizes {
        let (group, others) = rest.split_at((*size).min(rest.len()));
        groups.push(group);
        rest = others;
    }
    groups.push(rest);
    groups.retain(|group| !group.is_empty());
    groups.join(separator)
}

/// Something of a kind as people write it, drawn anew.
fn planted(category: Category, draw: &mut Draw) -> String {
    let first = ["ann", "j.lee", "maria_k", "bo-77", "li.wei"];
    let hosts = ["gmail.com", "posteo.de", "mail.corp.io", "uni-bonn.de", "yahoo.co.uk"];
    match category {
        Category::Email => format!("{}{}@{}", draw.pick(&first).unwrap(), draw.below(99), draw.pick(&hosts).unwrap()),
        Category::Phone => {
            let two = format!("{}{}", draw.between(2, 9), numbers(draw, 1));
            let (a, b, c) = (numbers(draw, 4), numbers(draw, 4), draw.between(220, 998));
            let exchange = if c % 100 == 11 || c == 555 { 737 } else { c };
            match draw.below(6) {
                0 => format!("+1 415 {exchange} {a}"),
                1 => format!("(415) {exchange}-{a}"),
                2 => format!("415-{exchange}-{a}"),
                3 => format!("+49 30 6{two}4 {b}"),
                4 => format!("020 7{two}8 {b}"),
                _ => format!("06 {two} {two} {} {}", &a[..2], &b[..2]),
            }
        }
        Category::CreditCard => {
            let (prefix, length, sizes) =
                *draw.pick(&[("4", 16, [4, 4, 4]), ("53", 16, [4, 4, 4]), ("37", 15, [4, 6, 5])]).unwrap();
            let number = with_luhn(format!("{prefix}{}", numbers(draw, length - prefix.len() - 1)));
            let separator = *draw.pick(&["", " ", "-"]).unwrap();
            grouped(&number, &sizes, separator)
        }
        Category::Iban => {
            let (country, body) = match draw.below(3) {
                0 => ("DE", numbers(draw, 18)),
                1 => ("GB", format!("BARC{}", numbers(draw, 14))),
                _ => ("NL", format!("INGB{}", numbers(draw, 10))),
            };
            let value = |text: &str| {
                text.chars().fold(0_u32, |rest, c| {
                    let digit = c.to_digit(36).unwrap();
                    (rest * if digit < 10 { 10 } else { 100 } + digit) % 97
                })
            };
            let check = 98 - value(&format!("{body}{country}00"));
            let separator = *draw.pick(&["", " "]).unwrap();
            grouped(&format!("{country}{check:02}{body}"), &[4; 5], separator)
        }
        Category::Ssn => format!("{}-{:02}-{:04}", draw.between(100, 600), draw.between(1, 99), draw.between(1, 9999)),
        Category::IpAddress => {
            format!("{}.{}.{}.{}", draw.between(11, 99), draw.between(1, 255), draw.below(256), draw.between(10, 255))
        }
        _ => format!("https://{}:{}@{}/db", first[0], numbers(draw, 8), draw.pick(&hosts).unwrap()),
    }
}

/// A thousand of each kind in lines of talk: what is found of them, and what else is.
#[test]
fn of_a_thousand_of_each_kind_nearly_all_are_found_and_little_else() {
    let mut draw = Draw::new(7, &["planted"]);
    for (category, _) in DETECTORS {
        let (mut hits, mut wrong) = (0, 0);
        for _ in 0..1_000 {
            let (before, after, secret) = (clean(&mut draw), clean(&mut draw), planted(category, &mut draw));
            let text = format!("{before} It is {secret}, I think. {after}");
            let place = before.len() + 7..before.len() + 7 + secret.len();
            let findings = find(&text).findings;
            let hit = findings.iter().any(|finding| finding.category == category && finding.range == place);
            hits += u32::from(hit);
            wrong += u32::try_from(findings.len()).unwrap() - u32::from(hit);
        }
        let (recall, precision) = (f64::from(hits) / 1e3, f64::from(hits) / f64::from((hits + wrong).max(1)));
        println!("{category}: recall {recall:.3}, precision {precision:.3}");
        assert!(recall >= 0.95 && precision >= 0.95, "{category}: recall {recall}, precision {precision}");
    }
}

#[test]
fn of_ten_thousand_lines_of_plain_talk_next_to_none_is_taken_for_personal_data() {
    let mut draw = Draw::new(8, &["clean"]);
    let lines: Vec<String> = (0..10_000).map(|_| clean(&mut draw)).collect();
    let alarms: Vec<&String> = lines.iter().filter(|line| !find(line).findings.is_empty()).collect();
    println!("{} of {} lines", alarms.len(), lines.len());
    assert!(alarms.len() <= lines.len() / 50, "{} of {}, such as {:?}", alarms.len(), lines.len(), alarms.first());
}

fn redacted(text: &str) -> String {
    let actions = Actions { violence: Action::Redact, hate: Action::Redact, ..Actions::default() };
    let mut words = WordLists::default();
    words.add("en", "en.txt", "[violence]\nkill you\nyou now\nviolence\n[hate]\nkill*\nemail\n").unwrap();
    Screen { words: &words, actions: &actions }.look("en", text).text
}

/// Any characters, and between them pieces of what is looked for.
fn texts() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "ann@mail.org",
        "+1 415 737 2881",
        "4539 1488 0343 6467",
        "DE75",
        "5121 0800",
        "81.169.145.77",
        "https://a:b@c.io",
        "kill you now",
        "[email]",
        "[violence]",
        "?token=",
        "SSN ",
        "0176/",
        "::",
        "1",
        "0",
        "-",
        " ",
        ".",
        "@",
        "é",
        "好",
    ]);
    let any = prop_oneof![3 => pieces.prop_map(str::to_owned), 1 => ".{0,6}"];
    prop::collection::vec(any, 0..14).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn redacting_twice_is_redacting_once(text in texts()) {
        let once = redacted(&text);
        prop_assert_eq!(redacted(&once), once);
    }

    #[test]
    fn findings_are_ordered_apart_and_whole(text in texts()) {
        let findings = find(&text).findings;
        prop_assert!(findings.iter().all(|finding| text.get(finding.range.clone()).is_some_and(|found| !found.is_empty())));
        prop_assert!(findings.windows(2).all(|pair| pair[0].range.end <= pair[1].range.start));
    }

    #[test]
    fn nothing_but_what_is_found_changes(before in "[a-zé好 ]{0,20}", after in "[a-zé好 ]{0,20}") {
        let text = format!("{before} ann@mail.org {after}");
        prop_assert_eq!(redacted(&text), format!("{before} [email] {after}"));
        let plain = format!("{before}. {after}");
        if find(&plain).findings.is_empty() && !plain.contains("kill") {
            prop_assert_eq!(redacted(&plain), plain);
        }
    }
}

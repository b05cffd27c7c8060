//! Numbers with check digits or ranges: payment cards, IBANs, social security numbers of the United States.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{Span, before, digits, pattern, stands_alone};

static DIGIT_RUN: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9]+(?:[ -][0-9]+)*"));
static IBAN_HEAD: LazyLock<Regex> = LazyLock::new(|| pattern(r"[A-Za-z]{2}[0-9]{2}"));
static SSN: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9]{3}([- ]?)[0-9]{2}([- ]?)[0-9]{4}"));

/// Card numbers that processors publish for tests.
const TEST_CARDS: [&str; 16] = [
    "4111111111111111",
    "4242424242424242",
    "4012888888881881",
    "4000056655665556",
    "4000000000000002",
    "5555555555554444",
    "5105105105105100",
    "5200828282828210",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "6011000990139424",
    "30569309025904",
    "38520000023237",
    "3530111333300000",
];

/// IBANs that standards and banks print as examples.
const SAMPLE_IBANS: [&str; 8] = [
    "GB82WEST12345698765432",
    "GB29NWBK60161331926819",
    "GB33BUKB20201555555555",
    "DE89370400440532013000",
    "DE02120300000000202051",
    "FR1420041010050500013M02606",
    "NL91ABNA0417164300",
    "ES9121000418450200051332",
];

/// Numbers that were printed on samples or are set aside for advertisements.
const SAMPLE_SSNS: [&str; 3] = ["078051120", "219099999", "457555462"];

/// Payment cards: by the issuer's prefix, the length and Luhn's check digit (ISO/IEC 7812-1), grouped as cards are or not at all.
pub(super) fn cards(text: &str) -> Vec<Span> {
    let mut found = Vec::new();
    for run in DIGIT_RUN.find_iter(text) {
        let groups = groups(run.as_str(), run.start());
        let mut from = 0;
        while from < groups.len() {
            match card_at(text, &groups, from) {
                Some((range, taken)) => {
                    let number = digits(text.get(range.clone()).unwrap_or_default());
                    found.push(Span { reserved: TEST_CARDS.contains(&number.as_str()), range });
                    from += taken;
                }
                None => from += 1,
            }
        }
    }
    found
}

/// The ranges of the groups of a run of digits that starts at `start`.
fn groups(run: &str, start: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut at = start;
    for group in run.split([' ', '-']) {
        groups.push(at..at + group.len());
        at += group.len() + 1;
    }
    groups
}

/// The card that starts with group `from`, and how many groups it takes.
fn card_at(text: &str, groups: &[Range<usize>], from: usize) -> Option<(Range<usize>, usize)> {
    (1..=5).rev().find_map(|taken| {
        let mine = groups.get(from..from + taken)?;
        let lengths: Vec<usize> = mine.iter().map(Range::len).collect();
        let range = mine.first()?.start..mine.last()?.end;
        let number = digits(text.get(range.clone())?);
        let ok = has_card_shape(&lengths)
            && is_issued(&number)
            && passes_luhn(&number)
            && stands_alone(text, &range, &['+']);
        ok.then_some((range, taken))
    })
}

fn has_card_shape(lengths: &[usize]) -> bool {
    matches!(lengths, [13..=19] | [4, 4, 4, 4] | [4, 4, 4, 4, 1..=3] | [4, 6, 4 | 5])
}

fn is_issued(number: &str) -> bool {
    let prefix = |length: usize| number.get(..length).and_then(|start| start.parse::<u32>().ok()).unwrap_or(0);
    match number.len() {
        13 | 19 if prefix(1) == 4 => true,
        14 => matches!(prefix(3), 300..=305) || matches!(prefix(2), 36 | 38 | 39),
        15 => matches!(prefix(2), 34 | 37),
        16 => {
            prefix(1) == 4
                || matches!(prefix(2), 51..=55 | 62 | 65)
                || matches!(prefix(4), 2221..=2720 | 3528..=3589 | 6011)
                || matches!(prefix(3), 644..=649)
        }
        17..=19 => prefix(2) == 62,
        _ => false,
    }
}

/// Luhn's check digit; a number of one digit repeated passes it and is none.
fn passes_luhn(number: &str) -> bool {
    let sum: u32 = number
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(digit - b'0');
            if at % 2 == 0 { digit } else { digit / 5 + digit * 2 % 10 }
        })
        .sum();
    sum.is_multiple_of(10) && number.bytes().any(|digit| Some(&digit) != number.as_bytes().first())
}

/// IBANs: by the country's length and the check digits (ISO 13616, mod 97), in groups of any length or none.
pub(super) fn ibans(text: &str) -> Vec<Span> {
    let mut found: Vec<Span> = Vec::new();
    for head in IBAN_HEAD.find_iter(text) {
        let Some((end, iban)) = iban_from(text, head.start()) else { continue };
        let range = head.start()..end;
        if stands_alone(text, &range, &[]) && mod_97(&iban) == Some(1) {
            found.push(Span { range, reserved: SAMPLE_IBANS.contains(&iban.as_str()) });
        }
    }
    found
}

/// As many letters and digits as the country's IBANs have, single spaces left out.
fn iban_from(text: &str, start: usize) -> Option<(usize, String)> {
    let country = text.get(start..start + 2)?.to_ascii_uppercase();
    let length = iban_length(&country)?;
    let mut iban = String::with_capacity(length);
    let mut spaced = false;
    for (offset, c) in text.get(start..)?.char_indices() {
        match c {
            ' ' if !spaced => spaced = true,
            c if c.is_ascii_alphanumeric() => {
                spaced = false;
                iban.push(c.to_ascii_uppercase());
                if iban.len() == length {
                    return Some((start + offset + 1, iban));
                }
            }
            _ => return None,
        }
    }
    None
}

fn mod_97(iban: &str) -> Option<u32> {
    let (head, body) = iban.split_at_checked(4)?;
    body.chars().chain(head.chars()).try_fold(0, |rest, c| {
        let value = c.to_digit(36)?;
        Some((rest * if value < 10 { 10 } else { 100 } + value) % 97)
    })
}

/// Lengths by country, from the registry of SWIFT.
fn iban_length(country: &str) -> Option<usize> {
    Some(match country {
        "NO" => 15,
        "BE" => 16,
        "DK" | "FI" | "NL" | "FO" | "GL" => 18,
        "MK" | "SI" => 19,
        "AT" | "BA" | "EE" | "KZ" | "LT" | "LU" | "XK" => 20,
        "CH" | "HR" | "LI" | "LV" => 21,
        "BG" | "BH" | "CR" | "DE" | "GB" | "GE" | "IE" | "ME" | "RS" => 22,
        "AE" | "GI" | "IL" | "IQ" | "TL" => 23,
        "AD" | "CZ" | "ES" | "MD" | "PK" | "RO" | "SA" | "SE" | "SK" | "TN" | "VG" => 24,
        "PT" | "ST" => 25,
        "IS" | "TR" => 26,
        "FR" | "GR" | "IT" | "MC" | "MR" | "SM" => 27,
        "AL" | "AZ" | "CY" | "DO" | "GT" | "HU" | "LB" | "PL" | "SV" | "BY" => 28,
        "BR" | "EG" | "PS" | "QA" | "UA" => 29,
        "JO" | "KW" | "MU" => 30,
        "MT" | "SC" => 31,
        _ => return None,
    })
}

/// Social security numbers: with hyphens, or in another form where the words before it say so. Areas 000, 666 and from 900
/// up, group 00 and serial 0000 are never given out.
pub(super) fn social_security_numbers(text: &str) -> Vec<Span> {
    let found = SSN.captures_iter(text).filter_map(|found| {
        let whole = found.get(0)?;
        let (first, second) = (found.get(1)?.as_str(), found.get(2)?.as_str());
        let said = || {
            let before = before(text, whole.start(), 32);
            before.contains("ssn") || before.contains("social security")
        };
        let number = digits(whole.as_str());
        let form = first == second && (first == "-" || said());
        let ok = form && is_given_out(&number) && stands_alone(text, &whole.range(), &['-']);
        let advertised = ("987654320"..="987654329").contains(&number.as_str());
        ok.then(|| Span { range: whole.range(), reserved: advertised || SAMPLE_SSNS.contains(&number.as_str()) })
    });
    found.collect()
}

fn is_given_out(number: &str) -> bool {
    let part = |range: Range<usize>| number.get(range).and_then(|part| part.parse::<u32>().ok()).unwrap_or(0);
    let area = part(0..3);
    area != 0 && area != 666 && (area < 900 || number.starts_with("98765432")) && part(3..5) != 0 && part(5..9) != 0
}

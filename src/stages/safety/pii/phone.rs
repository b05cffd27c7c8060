//! Phone numbers: international, North American, with a trunk zero as in most of the world, or announced by the words before.
//!
//! A number without country code is taken only where it is written as phone numbers are, in groups of plausible length;
//! dates, prices and order numbers are not.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{Span, digits, goes_on, pattern, stands_alone};

static INTERNATIONAL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:\+|00)[1-9][0-9]{0,14}(?:(?: ?\(0?\) ?|[ ./-]|\)[ -]?|[ -]?\()[0-9]{1,11}\)?){0,7}"));
static NORTH_AMERICAN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?:1[ .-])?(?:\(([2-9][0-9]{2})\) ?|([2-9][0-9]{2})[ .-])([2-9][0-9]{2})[ .-]([0-9]{4})")
});
static WITH_TRUNK_ZERO: LazyLock<Regex> = LazyLock::new(|| pattern(r"\(?0[1-9][0-9]{0,4}\)?(?:[ ./-][0-9]{2,8}){1,5}"));
static ANNOUNCED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b(?:phone|telephone|tel|call|mobile|cell|whatsapp|text)\b\.?(?:\s+(?:me|us|him|her|them|is|at|on|number|no\.?|my|his|her|their|to))*\s*[:=]?\s*([0-9]{9,12}|[2-9][0-9]{2}-[0-9]{4})",
    )
});
static DATE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\(?[0-9]{2}[./-][0-9]{2}[./-][0-9]{4}"));

/// What joins digits to something that is no phone number.
const GLUE: [char; 7] = ['-', '+', '/', ':', '$', '€', '£'];

/// Starts of numbers that regulators keep for film and fiction, in the national form without separators: Ofcom, the
/// Bundesnetzagentur, Arcep, ACMA.
const FICTION: [&str; 34] = [
    "01632960",
    "01134960",
    "01144960",
    "01154960",
    "01164960",
    "01174960",
    "01184960",
    "01214960",
    "01314960",
    "01414960",
    "01514960",
    "01614960",
    "01914980",
    "02079460",
    "02896496",
    "02920180",
    "07700900",
    "08081570",
    "09098790",
    "03069990",
    "03023125",
    "06990009",
    "04066969",
    "02214710",
    "08999998",
    "017139200",
    "019900",
    "026191",
    "035301",
    "046571",
    "053649",
    "063998",
    "025550",
    "049157",
];

/// Every phone number in `text`.
pub(super) fn numbers(text: &str) -> Vec<Span> {
    let international = INTERNATIONAL.find_iter(text).filter_map(|found| international(text, found.range()));
    let american = NORTH_AMERICAN.captures_iter(text).filter_map(|found| {
        let whole = found.get(0)?;
        let area = found.get(1).or_else(|| found.get(2))?.as_str();
        let (exchange, line) = (found.get(3)?.as_str(), found.get(4)?.as_str());
        let ok = is_assigned(area) && is_assigned(exchange) && stands_alone(text, &whole.range(), &GLUE);
        ok.then(|| Span { range: whole.range(), reserved: is_fictional(area, exchange, line) })
    });
    let trunk = WITH_TRUNK_ZERO.find_iter(text).filter_map(|found| with_trunk_zero(text, found.range()));
    let announced = ANNOUNCED.captures_iter(text).filter_map(|found| {
        let number = found.get(1)?;
        let ok = stands_alone(text, &number.range(), &['-', '/']);
        let reserved = number.as_str().starts_with("555-") || is_american_fiction(number.as_str());
        ok.then(|| Span { range: number.range(), reserved })
    });
    international.chain(american).chain(trunk).chain(announced).collect()
}

/// A number behind `+` or `00`: a country code, then as many digits as that country's numbers have.
fn international(text: &str, whole: Range<usize>) -> Option<Span> {
    let written = text.get(whole.clone())?;
    let prefix = if written.starts_with('+') { 0 } else { 2 };
    let number =
        |end: usize| digits(written.get(..end).unwrap_or_default()).get(prefix..).unwrap_or_default().to_owned();
    // Numbers that merely follow are let go, group by group.
    let mut ends: Vec<usize> = written.match_indices([' ', '.', '/', '-']).map(|(at, _)| at).collect();
    ends.push(written.len());
    let end = ends.into_iter().rev().find(|end| {
        let range = whole.start..whole.start + end;
        is_dialled(&number(*end)) && stands_alone(text, &range, &['+'])
    })?;
    let number = number(end);
    let reserved = match number.strip_prefix('1') {
        Some(national) => is_american_fiction(national),
        None => (2..4).any(|code| {
            let national = number.get(code..).unwrap_or_default();
            is_fiction(&format!("0{}", national.strip_prefix('0').unwrap_or(national)))
        }),
    };
    Some(Span { range: whole.start..whole.start + end, reserved })
}

/// Whether digits are a number of some country: a code that the ITU has given out, then a plausible number of digits.
fn is_dialled(number: &str) -> bool {
    let start = |length: usize| number.get(..length).and_then(|start| start.parse::<u32>().ok()).unwrap_or(0);
    let most = match (start(1), start(2)) {
        (1, _) => return number.len() == 11 && number.get(1..2).is_some_and(|area| area >= "2"),
        (7, _) | (_, 33 | 34 | 61) => 11,
        (_, 44 | 91) => 12,
        (
            _,
            20
            | 27
            | 30..=32
            | 36
            | 39..=41
            | 43
            | 45..=49
            | 51..=58
            | 60
            | 62..=66
            | 81
            | 82
            | 84
            | 86
            | 90
            | 92..=95
            | 98,
        ) => 13,
        (_, 21..=26 | 29 | 35 | 37 | 38 | 42 | 50 | 59 | 67..=69 | 80 | 85 | 87 | 88 | 96 | 97 | 99) => 14,
        _ => return false,
    };
    // With "(0)" behind the country code there is one digit more.
    (9..=most + 1).contains(&number.len())
}

/// A number with a trunk zero: nine to twelve digits in groups, and no date.
fn with_trunk_zero(text: &str, whole: Range<usize>) -> Option<Span> {
    let written = text.get(whole.clone())?;
    let mut ends: Vec<usize> = written.match_indices([' ', '.', '/', '-']).map(|(at, _)| at).collect();
    ends.push(written.len());
    let end = ends.into_iter().rev().find(|end| {
        let number = digits(written.get(..*end).unwrap_or_default());
        let range = whole.start..whole.start + end;
        (9..=12).contains(&number.len()) && stands_alone(text, &range, &GLUE) && !goes_on(text, &range)
    })?;
    if DATE.is_match(written) {
        return None;
    }
    let number = digits(written.get(..end)?);
    Some(Span { range: whole.start..whole.start + end, reserved: is_fiction(&number) })
}

/// Whether a code of the North American plan can be an area or an exchange: 211, 311 and so on are services.
fn is_assigned(code: &str) -> bool {
    !code.ends_with("11")
}

/// 555-0100 to 555-0199 are kept for fiction, 555-1212 is directory assistance, and there is no area 555.
fn is_fictional(area: &str, exchange: &str, line: &str) -> bool {
    area == "555" || (exchange == "555" && (line.starts_with("01") || line == "1212"))
}

fn is_american_fiction(national: &str) -> bool {
    match (national.get(..3), national.get(3..6), national.get(6..)) {
        (Some(area), Some(exchange), Some(line)) => is_fictional(area, exchange, line),
        _ => false,
    }
}

fn is_fiction(national: &str) -> bool {
    FICTION.iter().any(|start| national.starts_with(start))
}

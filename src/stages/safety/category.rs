//! What can be found, by name.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::safety::{Action, Actions, Thresholds};

/// A kind of content that the screens look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// E-mail addresses.
    Email,
    /// Phone numbers.
    Phone,
    /// Payment card numbers.
    CreditCard,
    /// Bank accounts by IBAN.
    Iban,
    /// Social security numbers of the United States.
    Ssn,
    /// Public IP addresses.
    IpAddress,
    /// Passwords and tokens in URLs, keys of well-known services.
    Credentials,
    /// Contempt for people because of what they are.
    Hate,
    /// Insults and threats against a person.
    Harassment,
    /// Sexual content.
    Sexual,
    /// Self-harm and suicide.
    SelfHarm,
    /// Violence.
    Violence,
}

impl Category {
    /// What is judged and not recognised by its form: what word lists and services tell.
    pub const JUDGED: [Self; 5] = [Self::Hate, Self::Harassment, Self::Sexual, Self::SelfHarm, Self::Violence];

    const ALL: [Self; 12] = [
        Self::Email,
        Self::Phone,
        Self::CreditCard,
        Self::Iban,
        Self::Ssn,
        Self::IpAddress,
        Self::Credentials,
        Self::Hate,
        Self::Harassment,
        Self::Sexual,
        Self::SelfHarm,
        Self::Violence,
    ];

    /// The name in configuration, records and reasons.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::CreditCard => "credit_card",
            Self::Iban => "iban",
            Self::Ssn => "ssn",
            Self::IpAddress => "ip_address",
            Self::Credentials => "credentials",
            Self::Hate => "hate",
            Self::Harassment => "harassment",
            Self::Sexual => "sexual",
            Self::SelfHarm => "self_harm",
            Self::Violence => "violence",
        }
    }

    /// The category with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == name)
    }

    /// The judged category with this name.
    pub fn judged(name: &str) -> Option<Self> {
        Self::named(name).filter(|category| Self::JUDGED.contains(category))
    }

    /// What is to be done about it.
    pub fn action(self, actions: &Actions) -> Action {
        match self {
            Self::Email => actions.email,
            Self::Phone => actions.phone,
            Self::CreditCard => actions.credit_card,
            Self::Iban => actions.iban,
            Self::Ssn => actions.ssn,
            Self::IpAddress => actions.ip_address,
            Self::Credentials => actions.credentials,
            Self::Hate => actions.hate,
            Self::Harassment => actions.harassment,
            Self::Sexual => actions.sexual,
            Self::SelfHarm => actions.self_harm,
            Self::Violence => actions.violence,
        }
    }

    /// From which score of a service it counts; `None` for what no service scores.
    pub fn threshold(self, thresholds: &Thresholds) -> Option<f64> {
        match self {
            Self::Hate => Some(thresholds.hate),
            Self::Harassment => Some(thresholds.harassment),
            Self::Sexual => Some(thresholds.sexual),
            Self::SelfHarm => Some(thresholds.self_harm),
            Self::Violence => Some(thresholds.violence),
            _ => None,
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

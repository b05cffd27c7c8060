//! Which column of a table says what of a person.

use std::borrow::Cow;

use super::row::{DOMAIN_KEYS, NAME_KEY, PARTNER_KEY, PersonaRow, RowFault, TEXT_KEYS, named_keys, stated};

/// Where a table has what. Case and spaces about a column's name do not matter.
#[derive(Debug)]
pub(super) struct Columns {
    persona: usize,
    partner: Option<usize>,
    name: Option<usize>,
    domains: Vec<usize>,
}

impl Columns {
    /// The columns that `names` call. The error says what is missing and what is there.
    pub(super) fn of(names: &[String]) -> Result<Self, String> {
        let at = |key: &str| names.iter().position(|name| name.trim().eq_ignore_ascii_case(key));
        let Some(persona) = TEXT_KEYS.into_iter().find_map(at) else {
            return Err(format!(
                "there is no column `persona` but {}; call the one with the descriptions `persona`",
                named_keys(names)
            ));
        };
        let domains = DOMAIN_KEYS.into_iter().filter_map(at).collect();
        Ok(Self { persona, partner: at(PARTNER_KEY), name: at(NAME_KEY), domains })
    }

    /// The places of the columns that are read, in no order.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        [Some(self.persona), self.partner, self.name].into_iter().flatten().chain(self.domains.iter().copied())
    }

    /// What a row says whose cells `cell` gives; nothing for an empty one.
    pub(super) fn row<'r>(&self, cell: impl Fn(usize) -> Option<&'r str>) -> Result<PersonaRow<'r>, RowFault> {
        Ok(PersonaRow {
            persona: Cow::Borrowed(cell(self.persona).ok_or(RowFault::Empty)?),
            partner: self.partner.and_then(&cell).filter(|text| !text.trim().is_empty()).map(Cow::Borrowed),
            name: self.name.and_then(&cell).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned),
            domain: self.domains.iter().find_map(|at| stated(cell(*at)?)),
        })
    }
}

//! Fills in an event's owner: its own dimensions and its time come in, team, department and cost centre go out.
//!
//! An event's own value wins when the directory knows it (whatever its spelling) or has nothing better. Otherwise the first
//! kind of the precedence that says something does; then the team's own entry, then the department's. A line that names
//! another team than the one found says nothing about department and cost centre.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::entry::Entry;
use super::spelling::{Spellings, normal};
use crate::budget::{ResolvedScope, ScopeKey};
use crate::dimension::Text;

const TEAM: ScopeKey = ScopeKey::Text(Text::Team);
const DEPARTMENT: ScopeKey = ScopeKey::Text(Text::Department);

/// Which dimensions are asked for an owner, first to last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precedence(Vec<Asked>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    Key(ScopeKey),
    /// All tags that entries name, by name.
    Tags,
}

impl Default for Precedence {
    /// Key, account, project, app, tag, user.
    fn default() -> Self {
        let [key, account, project, app, user] =
            [Text::ApiKeyId, Text::BillingAccount, Text::Project, Text::App, Text::UserId]
                .map(|text| Asked::Key(ScopeKey::Text(text)));
        Self(vec![key, account, project, app, Asked::Tags, user])
    }
}

impl Precedence {
    /// From `key`, `account`, `tag` and the event's names (`project`, `tags.x`, …).
    ///
    /// # Errors
    /// One line that names the word which is none.
    pub fn new<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self, String> {
        let asked = words.into_iter().map(|word| match word {
            "key" => Ok(Asked::Key(ScopeKey::Text(Text::ApiKeyId))),
            "account" => Ok(Asked::Key(ScopeKey::Text(Text::BillingAccount))),
            "tag" => Ok(Asked::Tags),
            "team" | "department" | "cost_center" => Err(format!("'{word}' is what is filled in, not what is asked")),
            name => name.parse().map(Asked::Key).map_err(|error| error.to_string()),
        });
        asked.collect::<Result<_, _>>().map(Self)
    }

    /// Whether an owner is asked for by this dimension.
    #[must_use]
    pub fn asks(&self, key: &ScopeKey) -> bool {
        self.0.iter().any(|asked| match asked {
            Asked::Key(known) => known == key,
            Asked::Tags => matches!(key, ScopeKey::Tag(_)),
        })
    }
}

/// An event's owner. `None`: unallocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled<'a> {
    pub team: Option<&'a str>,
    pub department: Option<&'a str>,
    pub cost_center: Option<&'a str>,
    /// Which of the three came from the directory, or were spelled by it.
    from_directory: [bool; 3],
}

impl<'a> Filled<'a> {
    /// The owner that the event itself names.
    pub fn own(value_of: impl Fn(&ScopeKey) -> Option<&'a str>) -> Self {
        Self {
            team: value_of(&TEAM),
            department: value_of(&DEPARTMENT),
            cost_center: value_of(&ScopeKey::CostCenter),
            ..Self::default()
        }
    }

    /// The columns that the directory filled in or respelled, for `dimensions_filled`.
    pub fn filled(&self) -> impl Iterator<Item = &'static str> {
        ["team", "department", "cost_center"]
            .into_iter()
            .zip(self.from_directory)
            .filter_map(|(name, it)| it.then_some(name))
    }
}

/// Entries, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    entries: HashMap<ScopeKey, HashMap<String, Vec<Entry>>>,
    spellings: Arc<Spellings>,
    /// Dimensions to ask, tags spelled out.
    asked: Vec<ScopeKey>,
}

impl Directory {
    /// Entries must not contradict each other; where they do, the first holds.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = Entry>, precedence: &Precedence) -> Self {
        let (mut directory, mut spellings) = (Self::default(), Spellings::default());
        let mut named = Vec::new();
        for entry in entries {
            // How a team's own entry spells it goes before how others mention it.
            spellings.add(&entry.key, &entry.value);
            named.push((entry.team.clone(), entry.department.clone()));
            let (key, value) = entry.subject();
            directory.entries.entry(key).or_default().entry(value).or_default().push(entry);
        }
        for (team, department) in &named {
            if let Some(team) = team {
                spellings.add(&TEAM, team);
            }
            if let Some(name) = department {
                spellings.add(&DEPARTMENT, name);
            }
        }
        directory.spellings = Arc::new(spellings);
        let mut tags: Vec<_> =
            directory.entries.keys().filter(|key| matches!(key, ScopeKey::Tag(_))).cloned().collect();
        tags.sort_unstable();
        for asked in &precedence.0 {
            match asked {
                Asked::Key(key) => directory.asked.push(key.clone()),
                Asked::Tags => directory.asked.append(&mut tags),
            }
        }
        directory
    }

    /// The moments at which it begins to say something else, microseconds since the epoch, sorted: between two of them it is the same.
    #[must_use]
    pub fn edges(&self) -> Vec<i64> {
        let entries = self.entries.values().flat_map(HashMap::values).flatten();
        let mut edges: Vec<i64> = entries
            .flat_map(|entry| [entry.valid_from, entry.valid_until])
            .flatten()
            .map(|time| time.timestamp_micros())
            .collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How it spells teams and departments.
    #[must_use]
    pub fn spellings(&self) -> &Arc<Spellings> {
        &self.spellings
    }

    /// The dimensions that decide the owner of an event: events that agree on them have the same one at a time.
    pub fn keys(&self) -> impl Iterator<Item = &ScopeKey> {
        self.asked.iter().chain([&TEAM, &DEPARTMENT])
    }

    /// The owner of an event with these values at `at`.
    ///
    /// The texts live as long as both the directory's and the event's.
    pub fn resolve<'a>(&'a self, value_of: impl Fn(&ScopeKey) -> Option<&'a str>, at: DateTime<Utc>) -> Filled<'a> {
        if self.is_empty() {
            return Filled::own(value_of);
        }
        let asked: Vec<_> = self.asked.iter().filter_map(|key| self.entry(key, value_of(key)?, at)).collect();
        let said = asked.iter().find_map(|entry| entry.team.as_deref());
        let (team, team_filled) = choose(value_of(&TEAM), said, &TEAM, &self.spellings);
        let of_team = team.and_then(|team| self.entry(&TEAM, team, at));
        let same = |entry: &&&Entry| match (entry.team.as_deref(), team) {
            (Some(named), Some(team)) => normal(&TEAM, named) == normal(&TEAM, team),
            _ => true,
        };
        let lines = || asked.iter().filter(same).copied().chain(of_team);
        let said = lines().find_map(|entry| entry.department.as_deref());
        let (department, department_filled) = choose(value_of(&DEPARTMENT), said, &DEPARTMENT, &self.spellings);
        let of_department = department.and_then(|department| self.entry(&DEPARTMENT, department, at));
        let said = lines().chain(of_department).find_map(|entry| entry.cost_center.as_deref());
        let own = value_of(&ScopeKey::CostCenter);
        Filled {
            team,
            department,
            cost_center: own.or(said),
            from_directory: [team_filled, department_filled, own.is_none() && said.is_some()],
        }
    }

    /// What the directory says of a value at that time.
    #[must_use]
    pub fn entry(&self, key: &ScopeKey, value: &str, at: DateTime<Utc>) -> Option<&Entry> {
        self.entries.get(key)?.get(&normal(key, value))?.iter().find(|entry| entry.holds(at))
    }

    /// An address of who owns a scope: of what it names, the narrowest first, then of the team and the department that it belongs to.
    #[must_use]
    pub fn contact(&self, scope: &ResolvedScope, at: DateTime<Utc>) -> Option<&str> {
        let of = |key: &ScopeKey, value: &str| self.entry(key, value, at)?.contact.as_deref();
        let named = self.asked.iter().find_map(|key| of(key, scope.get(key)?));
        let filled = self.resolve(|key| scope.get(key), at);
        named.or_else(|| of(&TEAM, filled.team?)).or_else(|| of(&DEPARTMENT, filled.department?))
    }

    /// An attribute (`plan`) of a value at that time.
    #[must_use]
    pub fn attribute(&self, key: &ScopeKey, value: &str, name: &str, at: DateTime<Utc>) -> Option<&str> {
        self.entry(key, value, at)?.attributes.get(name).map(String::as_str)
    }
}

/// The event's own value in the directory's spelling if it is known; else what the directory says; else the own one. And
/// whether the directory had a hand in it.
fn choose<'a>(
    own: Option<&'a str>,
    said: Option<&'a str>,
    key: &ScopeKey,
    spellings: &'a Spellings,
) -> (Option<&'a str>, bool) {
    let spelled = |value: &str| spellings.of(key, value);
    let chosen = own.and_then(spelled).or_else(|| said.and_then(spelled)).or(own);
    (chosen, chosen != own)
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;

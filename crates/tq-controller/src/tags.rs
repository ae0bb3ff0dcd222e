//! Tags: small user metadata beside a sample, merged here and not at the client, so that
//! concurrent updates of different tags of one sample all survive.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

/// Name of a tag.
pub type TagName = Arc<str>;

/// Value of a tag.
#[derive(Debug, Clone, PartialEq)]
pub enum TagValue {
    /// Python's `None`.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of up to 64 bits.
    Int(i64),
    /// A float; any bit pattern survives.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// Anything else, as the header of a packed buffer.
    Opaque(Arc<[u8]>),
}

/// The tags of one sample, in the order in which their names first came. A clone costs one
/// reference count; no tags cost nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tags(Option<Arc<[(TagName, TagValue)]>>);

impl Tags {
    /// Names and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&TagName, &TagValue)> {
        self.pairs().iter().map(|(name, value)| (name, value))
    }

    /// The value of the tag `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&TagValue> {
        self.iter()
            .find(|(found, _)| &***found == name)
            .map(|(_, value)| value)
    }

    /// How many tags there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pairs().len()
    }

    /// Whether there is no tag.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether both are clones of one: then nothing has changed between them.
    #[must_use]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(another)) => Arc::ptr_eq(one, another),
            (None, None) => true,
            _ => false,
        }
    }

    fn pairs(&self) -> &[(TagName, TagValue)] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Adds `update` name by name: a known name keeps its place and takes the new value. All names
    /// of `self` must have come from `names`.
    pub(crate) fn merge(&mut self, mut update: Tags, names: &mut TagNames) {
        update.intern(names);
        let Some(present) = &self.0 else {
            *self = update;
            return;
        };
        // One name is one allocation from here on, so addresses decide.
        let incoming = update.pairs();
        let all_again = present.len() <= incoming.len()
            && present
                .iter()
                .zip(incoming)
                .all(|((a, _), (b, _))| Arc::ptr_eq(a, b));
        if all_again {
            *self = update;
            return;
        }
        let mut merged = present.to_vec();
        for (name, value) in incoming {
            match merged
                .iter_mut()
                .find(|(known, _)| Arc::ptr_eq(known, name))
            {
                Some((_, known)) => *known = value.clone(),
                None => merged.push((name.clone(), value.clone())),
            }
        }
        self.0 = Some(merged.into());
    }

    /// Takes the place of the tags there were, under the condition of [`Self::merge`].
    pub(crate) fn replace(&mut self, mut tags: Tags, names: &mut TagNames) {
        tags.intern(names);
        *self = tags;
    }

    fn intern(&mut self, names: &mut TagNames) {
        let Some(pairs) = &mut self.0 else { return };
        if let Some(pairs) = Arc::get_mut(pairs) {
            for (place, (name, _)) in pairs.iter_mut().enumerate() {
                if !names.is_recent(name, place) {
                    *name = names.intern(name, place);
                }
            }
        } else {
            let interned = pairs
                .iter()
                .enumerate()
                .map(|(place, (name, value))| (names.intern(name, place), value.clone()));
            *pairs = interned.collect();
        }
    }
}

impl Tags {
    /// Of pairs whose names are all different; they are taken out of `pairs`, which keeps its room
    /// for the next sample's.
    #[must_use]
    pub fn of_distinct(pairs: &mut Vec<(TagName, TagValue)>) -> Self {
        Self((!pairs.is_empty()).then(|| pairs.drain(..).collect()))
    }
}

impl FromIterator<(TagName, TagValue)> for Tags {
    /// Of a name that comes twice, the first place and the last value count.
    fn from_iter<I: IntoIterator<Item = (TagName, TagValue)>>(pairs: I) -> Self {
        /// Up to here comparing with each name is faster than hashing.
        const FEW: usize = 16;
        let pairs = pairs.into_iter();
        let mut unique: Vec<(TagName, TagValue)> = Vec::with_capacity(pairs.size_hint().0);
        let mut places: FxHashMap<TagName, usize> = FxHashMap::default();
        for (name, value) in pairs {
            if unique.len() == FEW && places.is_empty() {
                places.extend(
                    unique
                        .iter()
                        .enumerate()
                        .map(|(i, (name, _))| (name.clone(), i)),
                );
            }
            let known = if places.is_empty() {
                unique.iter().position(|(found, _)| *found == name)
            } else {
                places.get(&name).copied()
            };
            match known {
                Some(place) => unique[place].1 = value,
                None => {
                    if !places.is_empty() {
                        places.insert(name.clone(), unique.len());
                    }
                    unique.push((name, value));
                }
            }
        }
        Self((!unique.is_empty()).then(|| unique.into()))
    }
}

/// The tag names of one partition, each kept once: they repeat for every sample.
#[derive(Debug, Default)]
pub(crate) struct TagNames {
    names: FxHashSet<TagName>,
    /// The name last seen at each place of a sample's tags; most samples repeat them.
    recent: Vec<TagName>,
    /// So many names are not worth a search for unused ones.
    tolerated: usize,
}

impl TagNames {
    const FEW: usize = 256;
    const RECENT: usize = 64;

    /// Whether `name` already is the one allocation, as far as a look at the last one tells.
    fn is_recent(&self, name: &TagName, place: usize) -> bool {
        self.recent
            .get(place)
            .is_some_and(|recent| Arc::ptr_eq(recent, name))
    }

    /// The one allocation of `name`. `place` is its place among its sample's tags.
    fn intern(&mut self, name: &TagName, place: usize) -> TagName {
        if let Some(recent) = self.recent.get(place)
            && (Arc::ptr_eq(recent, name) || recent == name)
        {
            return recent.clone();
        }
        let known = match self.names.get(name) {
            Some(known) => known.clone(),
            None => {
                self.forget_unused();
                self.names.insert(name.clone());
                name.clone()
            }
        };
        if let Some(recent) = self.recent.get_mut(place) {
            *recent = known.clone();
        } else if place == self.recent.len() && place < Self::RECENT {
            self.recent.push(known.clone());
        }
        known
    }

    /// Keeps names that differ from sample to sample from piling up after their samples went.
    /// Runs each time the set has doubled, so its cost per name stays constant.
    fn forget_unused(&mut self) {
        if self.names.len() < self.tolerated.max(Self::FEW) {
            return;
        }
        self.recent.clear();
        self.names.retain(|name| Arc::strong_count(name) > 1);
        self.tolerated = 2 * self.names.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(pairs: &[(&str, i64)]) -> Tags {
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), TagValue::Int(*value)))
            .collect()
    }

    #[test]
    fn the_last_value_of_a_repeated_name_wins_at_its_first_place() {
        let many: Vec<_> = (0..40).map(|i| (format!("t{}", i % 30), i)).collect();
        let many: Vec<_> = many
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let built = tags(&many);
        assert_eq!(built.len(), 30);
        assert_eq!(built.get("t3"), Some(&TagValue::Int(33)));
        assert_eq!(
            built.iter().next(),
            Some((&"t0".into(), &TagValue::Int(30)))
        );
        assert_eq!(
            tags(&[("a", 1), ("b", 2), ("a", 3)]),
            tags(&[("a", 3), ("b", 2)])
        );
    }

    #[test]
    fn merging_keeps_what_the_update_does_not_name() {
        let mut names = TagNames::default();
        let mut merged = Tags::default();
        merged.merge(tags(&[("a", 1), ("b", 2)]), &mut names);
        merged.merge(tags(&[("c", 3), ("b", 4)]), &mut names);
        merged.merge(Tags::default(), &mut names);
        assert_eq!(merged, tags(&[("a", 1), ("b", 4), ("c", 3)]));
    }

    #[test]
    fn replacing_leaves_nothing_and_later_merges_find_the_names() {
        let mut names = TagNames::default();
        let mut replaced = Tags::default();
        replaced.merge(tags(&[("a", 1), ("b", 2)]), &mut names);
        replaced.replace(tags(&[("b", 3), ("c", 4)]), &mut names);
        assert_eq!(replaced, tags(&[("b", 3), ("c", 4)]));
        replaced.merge(tags(&[("c", 5)]), &mut names);
        assert_eq!(replaced, tags(&[("b", 3), ("c", 5)]));
    }

    #[test]
    fn one_name_is_kept_once_whoever_sends_it() {
        let mut names = TagNames::default();
        let (mut first, mut second) = (Tags::default(), Tags::default());
        first.merge(tags(&[("a", 1), ("b", 2)]), &mut names);
        let shared = tags(&[("b", 3)]);
        second.merge(shared.clone(), &mut names);
        assert_eq!(shared, second);
        let find = |tags: &Tags| {
            tags.iter()
                .find(|(name, _)| &***name == "b")
                .map(|(n, _)| n.clone())
        };
        assert!(Arc::ptr_eq(&find(&first).unwrap(), &find(&second).unwrap()));
    }

    #[test]
    fn names_of_samples_that_are_gone_do_not_pile_up() {
        let mut names = TagNames::default();
        let mut kept = Tags::default();
        kept.merge(tags(&[("kept", 0)]), &mut names);
        for i in 0..5000 {
            Tags::default().merge(tags(&[(&format!("passing{i}"), i)]), &mut names);
        }
        assert!(names.names.len() <= TagNames::FEW + 1);
        kept.merge(tags(&[("kept", 1)]), &mut names);
        assert_eq!(kept, tags(&[("kept", 1)]));
    }
}

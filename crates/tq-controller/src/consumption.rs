//! Which samples each task has consumed, and where its unconsumed ones begin.

use rustc_hash::FxHashMap;
use tq_proto::TaskName;

use crate::pages::{NO_PAGE, PageNo, Pages, Vacated, page_of};
use crate::slots::Slot;
use crate::status::Bitmap;

/// Consumption status of one task.
#[derive(Debug)]
struct Task {
    consumed: Bitmap,
    /// In all pages before this one every sample is consumed, and none can come to them; so walks
    /// begin here. `NO_PAGE` where nothing is known.
    start: PageNo,
}

impl Default for Task {
    fn default() -> Self {
        Self {
            consumed: Bitmap::default(),
            start: NO_PAGE,
        }
    }
}

impl Task {
    /// Passes over pages that are settled. Each page is passed over once, unless a reset moves the
    /// start back, so the cost per call is that of the pages settled since the last one.
    fn advance(&mut self, pages: &Pages) {
        if self.start == NO_PAGE {
            self.start = pages.first();
        }
        while self.start != NO_PAGE
            && pages.occupied_word(self.start) & !self.consumed.word(self.start) == 0
        {
            // Samples can still come to the last page, and pages behind it.
            match pages.after(self.start) {
                NO_PAGE => break,
                next => self.start = next,
            }
        }
    }

    fn take_back(&mut self, slot: Slot, pages: &Pages) -> bool {
        let page = page_of(slot);
        let was_consumed = self.consumed.remove(slot);
        if was_consumed && self.start != NO_PAGE && pages.is_before(page, self.start) {
            self.start = page;
        }
        was_consumed
    }
}

/// Consumption status of a partition, by task.
#[derive(Debug, Default)]
pub(crate) struct Consumption {
    tasks: FxHashMap<TaskName, Task>,
}

impl Consumption {
    /// Tasks that were registered or consumed something, each with what it consumed.
    pub(crate) fn tasks(&self) -> impl Iterator<Item = (&TaskName, &Bitmap)> {
        self.tasks.iter().map(|(name, task)| (name, &task.consumed))
    }

    /// What `task` has consumed; none for a task never seen.
    pub(crate) fn consumed(&self, task: &str) -> Option<&Bitmap> {
        self.tasks.get(task).map(|task| &task.consumed)
    }

    /// The page in which the search for samples that `task` has not consumed begins.
    pub(crate) fn start(&self, task: &str, pages: &Pages) -> PageNo {
        match self.tasks.get(task).map_or(NO_PAGE, |task| task.start) {
            NO_PAGE => pages.first(),
            start => start,
        }
    }

    /// Makes `task` known.
    pub(crate) fn register(&mut self, task: &str) {
        self.task(task);
    }

    fn task(&mut self, task: &str) -> &mut Task {
        self.tasks.entry(task.into()).or_default()
    }

    /// Marks `slots` consumed by `task`.
    pub(crate) fn mark(&mut self, task: &str, slots: &[Slot], pages: &Pages) {
        let task = self.task(task);
        for slot in slots {
            task.consumed.insert(*slot);
        }
        task.advance(pages);
    }

    /// Makes `slots`, or all samples, unconsumed by `task`, or by all tasks. Returns how many were
    /// consumed, those of several tasks counted for each.
    pub(crate) fn reset(
        &mut self,
        task: Option<&str>,
        slots: Option<&[Slot]>,
        pages: &Pages,
    ) -> usize {
        let named = self
            .tasks
            .iter_mut()
            .filter(|(name, _)| task.is_none_or(|task| &***name == task))
            .map(|(_, task)| task);
        named
            .map(|task| match slots {
                None => std::mem::take(task).consumed.len(),
                Some(slots) => slots
                    .iter()
                    .filter(|slot| task.take_back(**slot, pages))
                    .count(),
            })
            .sum()
    }

    /// Forgets the samples at `slots`, before they are freed.
    pub(crate) fn clear(&mut self, slots: &[Slot]) {
        for task in self.tasks.values_mut() {
            for slot in slots {
                task.consumed.remove(*slot);
            }
        }
    }

    /// Moves the starts away from a page that went out of use.
    pub(crate) fn vacated(&mut self, gone: Vacated) {
        for task in self.tasks.values_mut() {
            if task.start == gone.page {
                task.start = gone.heir;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(slots: usize) -> Pages {
        let mut pages = Pages::default();
        for _ in 0..slots {
            pages.take();
        }
        pages
    }

    fn all(slots: std::ops::Range<Slot>) -> Vec<Slot> {
        slots.collect()
    }

    #[test]
    fn walks_begin_behind_the_consumed_pages() {
        let pages = filled(300);
        let mut consumption = Consumption::default();
        assert_eq!(consumption.start("t", &pages), 0);
        consumption.mark("t", &all(64..192), &pages);
        assert_eq!(consumption.start("t", &pages), 0);
        consumption.mark("t", &all(0..64), &pages);
        assert_eq!(consumption.start("t", &pages), 3);
        consumption.mark("t", &all(192..300), &pages);
        assert_eq!(consumption.start("t", &pages), 4);
        assert_eq!(consumption.start("other", &pages), 0);
    }

    #[test]
    fn the_last_page_stays_the_start_even_when_it_is_settled() {
        let mut pages = filled(128);
        let mut consumption = Consumption::default();
        consumption.mark("t", &all(0..128), &pages);
        assert_eq!(consumption.start("t", &pages), 1);
        pages.take();
        consumption.mark("t", &[], &pages);
        assert_eq!(consumption.start("t", &pages), 2);
    }

    #[test]
    fn cleared_samples_do_not_hold_the_start_back() {
        let mut pages = filled(192);
        let mut consumption = Consumption::default();
        consumption.mark("t", &all(1..128), &pages);
        assert_eq!(consumption.start("t", &pages), 0);
        consumption.clear(&[0]);
        assert_eq!(pages.give_back(0), None);
        consumption.mark("t", &[], &pages);
        assert_eq!(consumption.start("t", &pages), 2);
    }

    #[test]
    fn a_start_whose_page_goes_moves_to_one_in_use() {
        let mut pages = filled(130);
        let mut consumption = Consumption::default();
        consumption.mark("t", &all(0..128), &pages);
        let gone: Vec<_> = [128, 129]
            .into_iter()
            .filter_map(|slot| pages.give_back(slot))
            .collect();
        consumption.vacated(gone[0]);
        assert_eq!(consumption.start("t", &pages), 1);
        assert_eq!(pages.take(), 128);
        consumption.mark("t", &[], &pages);
        assert_eq!(consumption.start("t", &pages), 2);
    }

    #[test]
    fn a_reset_moves_the_start_back_to_the_first_page_it_touches() {
        let pages = filled(256);
        let mut consumption = Consumption::default();
        for task in ["t", "u"] {
            consumption.mark(task, &all(0..192), &pages);
        }
        assert_eq!(
            consumption.reset(Some("t"), Some(&[70, 69, 200]), &pages),
            2
        );
        assert_eq!(consumption.start("t", &pages), 1);
        assert_eq!(consumption.start("u", &pages), 3);
        assert_eq!(consumption.consumed("t").unwrap().len(), 190);
        assert_eq!(consumption.reset(None, Some(&[0, 70]), &pages), 3);
        assert_eq!(consumption.start("u", &pages), 0);
        assert_eq!(consumption.reset(Some("u"), None, &pages), 190);
        assert_eq!(consumption.reset(None, None, &pages), 189);
        assert_eq!(consumption.reset(Some("unknown"), None, &pages), 0);
        assert_eq!(consumption.tasks().count(), 2);
    }
}

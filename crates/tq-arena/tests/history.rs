//! Random histories against a naive model of who holds what.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use proptest::prelude::*;
use proptest::sample::Index;
use tq_arena::{Arena, ArenaConfig, ArenaUsage, Extent, ExtentId, Lease, Loan, View, ViewError};

#[derive(Debug, Clone)]
enum Step {
    Loan(u64),
    Commit(Index, Vec<u64>),
    DropLoan(Index),
    DropExtent(Index),
    LeaseById(Index),
    CloneLease(Index),
    DropLease(Index),
    View(Index, u64, u64),
    WriteView(Index, u64),
    DropView(Index),
    AskStale(Index),
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<Index>;
    let size = prop_oneof![
        0u64..300,
        0u64..20_000,
        65_530u64..200_000,
        Just(0u64),
        Just(65_536)
    ];
    prop_oneof![
        5 => size.prop_map(Step::Loan),
        5 => (which(), prop::collection::vec(1u64..40, 0..4)).prop_map(|(i, c)| Step::Commit(i, c)),
        1 => which().prop_map(Step::DropLoan),
        3 => which().prop_map(Step::DropExtent),
        3 => which().prop_map(Step::LeaseById),
        1 => which().prop_map(Step::CloneLease),
        3 => which().prop_map(Step::DropLease),
        4 => (which(), 0u64..20_000, 0u64..200_000).prop_map(|(i, o, l)| Step::View(i, o, l)),
        3 => (which(), 0u64..200_000).prop_map(|(i, at)| Step::WriteView(i, at)),
        3 => which().prop_map(Step::DropView),
        1 => which().prop_map(Step::AskStale),
    ]
}

/// What the model knows of an extent: its content, what it is charged, and who holds it.
struct Known {
    id: ExtentId,
    seed: u64,
    from: u64,
    charge: u64,
    owned: bool,
    leases: u64,
}

/// Extents are named by their position in `known`.
struct World {
    arena: Arena,
    loans: Vec<(Loan, u64)>,
    extents: Vec<(Extent, usize)>,
    leases: Vec<(Lease, usize)>,
    views: Vec<(View, usize, u64, Vec<u64>)>,
    known: Vec<Known>,
    seeds: u64,
    capacity: u64,
    views_supported: bool,
}

fn charge(bytes: u64) -> u64 {
    bytes
        .max(1)
        .next_multiple_of(if bytes >= 65_536 { PAGE } else { 64 })
}

fn pick<T>(from: &mut Vec<T>, which: &Index) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(which.index(from.len())))
}

impl World {
    fn new(capacity: u64, retain_bytes: u64) -> Self {
        let config = ArenaConfig {
            segment_bytes: 1 << 20,
            capacity_bytes: capacity,
            retain_bytes,
        };
        Self {
            arena: arena_with(config),
            loans: Vec::new(),
            extents: Vec::new(),
            leases: Vec::new(),
            views: Vec::new(),
            known: Vec::new(),
            seeds: 0,
            capacity,
            views_supported: views_supported(),
        }
    }

    fn expected(&self) -> ArenaUsage {
        let sum = |keep: &dyn Fn(&Known) -> bool| {
            self.known
                .iter()
                .filter(|known| keep(known))
                .map(|known| known.charge)
                .sum()
        };
        ArenaUsage {
            capacity: self.capacity,
            loaned: self.loans.iter().map(|(loan, _)| charge(loan.len())).sum(),
            committed: sum(&|known| known.owned),
            retired: sum(&|known| !known.owned && known.leases > 0),
            live_views: self.views.len() as u64,
            ..ArenaUsage::default()
        }
    }

    /// Dropped views are reverted in the background, so the figures are awaited.
    fn settle(&self) {
        let expected = self.expected();
        settle(&self.arena, |found| {
            ArenaUsage {
                free_resident: 0,
                segments: 0,
                ..*found
            } == expected
        });
    }

    fn lease(&mut self, lease: Lease, of: usize) {
        self.known[of].leases += 1;
        self.leases.push((lease, of));
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Loan(bytes) => {
                let fits = self.expected().in_use() + charge(bytes) <= self.capacity;
                let loan = self.arena.loan(bytes);
                assert_eq!(loan.is_ok(), fits);
                if let Ok(mut loan) = loan {
                    self.seeds += 1;
                    fill(loan.as_mut_slice(), self.seeds);
                    self.loans.push((loan, self.seeds));
                }
            }
            Step::Commit(which, parts) => {
                let Some((mut loan, seed)) = pick(&mut self.loans, &which) else {
                    return;
                };
                assert!(
                    is_filled(loan.as_mut_slice(), seed, 0),
                    "a loan is exclusive"
                );
                let len = loan.len();
                let mut at = 0;
                let cuts: Vec<u64> = parts
                    .iter()
                    .map_while(|part| {
                        at += part * 64;
                        (at < len).then_some(at)
                    })
                    .collect();
                let extents = loan.commit(&cuts).unwrap();
                assert_eq!(extents.len(), cuts.len() + 1);
                let starts: Vec<u64> = [0].into_iter().chain(cuts.clone()).collect();
                let ends = cuts.into_iter().chain([charge(len)]);
                for ((extent, from), end) in extents.into_iter().zip(starts).zip(ends) {
                    assert_eq!(extent.len(), end.min(len) - from);
                    let id = extent.id();
                    let charge = end - from;
                    self.extents.push((extent, self.known.len()));
                    self.known.push(Known {
                        id,
                        seed,
                        from,
                        charge,
                        owned: true,
                        leases: 0,
                    });
                }
            }
            Step::DropLoan(which) => drop(pick(&mut self.loans, &which)),
            Step::DropExtent(which) => {
                let Some((extent, of)) = pick(&mut self.extents, &which) else {
                    return;
                };
                self.known[of].owned = false;
                drop(extent);
            }
            Step::LeaseById(which) => {
                let Some((_, of)) = self.extents.get(which.index(self.extents.len().max(1))) else {
                    return;
                };
                let lease = self.arena.lease(self.known[*of].id).unwrap();
                self.lease(lease, *of);
            }
            Step::CloneLease(which) => {
                let Some((lease, of)) = self.leases.get(which.index(self.leases.len().max(1)))
                else {
                    return;
                };
                self.lease(lease.clone(), *of);
            }
            Step::DropLease(which) => {
                let Some((lease, of)) = pick(&mut self.leases, &which) else {
                    return;
                };
                self.known[of].leases -= 1;
                drop(lease);
            }
            Step::View(which, offset, len) => self.view(&which, offset, len),
            Step::WriteView(which, at) => {
                let at_most = self.views.len().max(1);
                let Some((view, of, offset, written)) = self.views.get_mut(which.index(at_most))
                else {
                    return;
                };
                if at < view.len() {
                    let known = &self.known[*of];
                    write(view, at, !pattern(known.seed, known.from + *offset + at));
                    written.push(at);
                }
            }
            Step::DropView(which) => {
                let Some((view, of, ..)) = pick(&mut self.views, &which) else {
                    return;
                };
                self.known[of].leases -= 1;
                drop(view);
            }
            Step::AskStale(which) => {
                let Some(known) = self.known.get(which.index(self.known.len().max(1))) else {
                    return;
                };
                assert_eq!(self.arena.lease(known.id).is_ok(), known.owned);
            }
        }
    }

    fn view(&mut self, which: &Index, offset: u64, len: u64) {
        let Some((lease, of)) = self.leases.get(which.index(self.leases.len().max(1))) else {
            return;
        };
        let (of, id) = (*of, lease.id());
        let offset = offset.min(id.len);
        let len = len.min(id.len - offset);
        let pages = |id: ExtentId, offset: u64, len: u64| {
            let start = id.offset + offset;
            (start / PAGE, (start + len).div_ceil(PAGE))
        };
        let (first, end) = pages(id, offset, len);
        let busy = len > 0
            && self.views.iter().any(|(view, of, offset, _)| {
                let other = self.known[*of].id;
                let (other_first, other_end) = pages(other, *offset, view.len());
                !view.is_empty()
                    && other.segment == id.segment
                    && other_first < end
                    && first < other_end
            });
        match self.arena.view(vec![lease.clone()], offset, len) {
            Ok(view) => {
                assert!(!busy);
                self.known[of].leases += 1;
                self.views.push((view, of, offset, Vec::new()));
            }
            Err(ViewError::Busy { .. }) => assert!(busy),
            Err(error) => assert!(!self.views_supported, "{error}"),
        }
    }

    /// Everything held shows what was written to it, and nothing held overlaps.
    fn check(&self) {
        for (lease, of) in &self.leases {
            let known = &self.known[*of];
            assert_eq!(lease.id(), known.id);
            assert!(is_filled(lease.as_slice(), known.seed, known.from));
        }
        for (view, of, offset, written) in &self.views {
            let known = &self.known[*of];
            let mut bytes = read(view);
            for at in written {
                let stored = pattern(known.seed, known.from + offset + at);
                assert_eq!(
                    bytes[*at as usize], !stored,
                    "what was written to a view stays"
                );
            }
            for at in written {
                bytes[*at as usize] = pattern(known.seed, known.from + offset + at);
            }
            assert!(is_filled(&bytes, known.seed, known.from + offset));
        }
        let mut held: Vec<_> = self
            .known
            .iter()
            .filter(|known| known.owned || known.leases > 0)
            .map(|known| {
                (
                    known.id.segment,
                    known.id.offset,
                    known.id.offset + known.charge,
                )
            })
            .collect();
        held.sort_unstable();
        for pair in held.windows(2) {
            assert!(
                pair[0].0 != pair[1].0 || pair[0].2 <= pair[1].1,
                "{pair:?} overlap"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn histories_agree_with_the_model(
        steps in prop::collection::vec(step(), 1..70),
        capacity in prop_oneof![Just(u64::MAX), 100_000u64..2_000_000],
        retain in prop_oneof![Just(0u64), Just(100_000), Just(u64::MAX)],
    ) {
        let mut world = World::new(capacity, retain);
        for step in steps {
            world.act(step);
            world.settle();
            world.check();
        }
        let World { arena, loans, extents, leases, views, .. } = world;
        drop((views, loans, extents, leases));
        settle(&arena, |usage| {
            usage.in_use() == 0 && usage.live_views == 0
                && (retain > 0 || usage.free_resident < PAGE)
        });
    }
}

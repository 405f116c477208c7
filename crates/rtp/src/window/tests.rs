use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_number_is_taken_once(steps in proptest::collection::vec((-1100i64..1300, 0u8..4), 1..300)) {
        let mut window = BitWindow::new();
        let mut taken = HashSet::new();
        let (mut highest, mut any) = (100_000u64, false);
        for (step, kind) in steps {
            // Mostly small steps, now and then a large one either way.
            let step = if kind == 0 { step } else { step / 100 };
            let number = highest.saturating_add_signed(step);
            let inside = !any || number > highest || highest - number < WINDOW;
            prop_assert_eq!(window.try_set(number), inside && taken.insert(number));
            prop_assert_eq!(window.contains(number), inside);
            (highest, any) = (if any { highest.max(number) } else { number }, true);
        }
    }
}

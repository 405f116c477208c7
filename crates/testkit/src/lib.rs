//! Test equipment: virtual clock, seeded network, test peers

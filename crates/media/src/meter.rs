//! What each layer of a source takes, measured where its packets set out for their sinks.

use crate::peer::Ready;
use portunus_bwe::{Costs, MAX_LAYERS};

/// Bitrates are averages over windows of this time, and of the few before.
const WINDOW_US: u64 = 500_000;
/// A source that was silent for so long begins anew.
const SILENCE_US: u64 = 3_000_000;
/// A layer is there after so many windows with packets, and not any more after so many without.
const PRESENT_AFTER: u8 = 2;
const GONE_AFTER: u8 = 3;
/// What sealing adds to a packet.
const SEALED: usize = 16;

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    bytes: u64,
    rate: u64,
    /// Windows since it appeared, and windows without a packet.
    windows: u8,
    silent: u8,
}

impl Cell {
    const fn is_present(&self) -> bool {
        self.windows >= PRESENT_AFTER
    }

    fn end_window(&mut self, elapsed_us: u64) {
        let rate = std::mem::take(&mut self.bytes).saturating_mul(8_000_000) / elapsed_us.max(1);
        self.silent = if rate == 0 { self.silent.saturating_add(1) } else { 0 };
        if self.silent >= GONE_AFTER || (rate == 0 && self.windows == 0) {
            *self = Self::default();
            return;
        }
        // The first window is not whole.
        self.rate = if self.windows < PRESENT_AFTER { rate } else { (self.rate * 3 + rate) / 4 };
        self.windows = self.windows.saturating_add(1);
    }
}

/// Bytes by spatial (or simulcast) and temporal layer.
#[derive(Debug, Default)]
pub(crate) struct LayerMeter {
    cells: [[Cell; MAX_LAYERS]; MAX_LAYERS],
    since_us: u64,
}

impl LayerMeter {
    /// Packets of one source on their way to its sinks.
    pub(crate) fn on_packets(&mut self, packets: &[Ready], simulcast: bool, now_us: u64) {
        let elapsed = now_us.saturating_sub(self.since_us);
        if elapsed >= WINDOW_US {
            if elapsed >= SILENCE_US {
                self.cells = Default::default();
            }
            self.cells.iter_mut().flatten().for_each(|cell| cell.end_window(elapsed));
            self.since_us = now_us;
        }
        for packet in packets {
            let layer = packet.info.layer;
            let spatial = if simulcast { packet.source } else { layer.map_or(0, |l| l.spatial.into()) };
            let temporal = layer.map_or(0, |l| l.temporal.into());
            let row = self.cells.get_mut(spatial.min(MAX_LAYERS - 1));
            if let Some(cell) = row.and_then(|row| row.get_mut(usize::min(temporal, MAX_LAYERS - 1))) {
                cell.bytes += u64::try_from(packet.len + SEALED).unwrap_or(0);
            }
        }
    }

    /// What sending each layer takes now, with all it depends on.
    pub(crate) fn costs(&self, simulcast: bool, now_us: u64) -> Costs {
        let mut costs = Costs::default();
        if now_us.saturating_sub(self.since_us) >= SILENCE_US {
            return costs;
        }
        let mut below = [0; MAX_LAYERS];
        for (row, costs) in self.cells.iter().zip(&mut costs) {
            if !row.iter().any(Cell::is_present) {
                continue;
            }
            let mut sum = 0;
            for ((cell, below), cost) in row.iter().zip(&mut below).zip(costs) {
                sum += cell.rate;
                *cost = if simulcast { sum } else { sum + *below };
                *below = *cost;
            }
        }
        costs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portunus_rtp::codec::{Layer, PayloadInfo};
    use portunus_rtp::extension::ExtensionOffsets;
    use portunus_rtp::mapping::SourceId;
    use portunus_rtp::packet::RtpHeader;

    fn packet(source: usize, spatial: u8, temporal: u8, len: usize) -> Ready {
        let layer = Some(Layer { spatial, temporal });
        Ready {
            peer: 0,
            line: 0,
            source,
            slot: 0,
            len: len - SEALED,
            id: SourceId(1),
            sequence: 1,
            header: RtpHeader::parse(&[0x80, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]).unwrap(),
            extensions: ExtensionOffsets::default(),
            info: PayloadInfo { layer, ..PayloadInfo::default() },
            main: true,
            padding: 0,
        }
    }

    /// Three seconds of packets each 10 ms: so many bytes are so many times 800 bit/s.
    fn measured(simulcast: bool, packets: &[Ready]) -> (LayerMeter, Costs) {
        let mut meter = LayerMeter::default();
        for i in 0..300 {
            meter.on_packets(packets, simulcast, 10_000_000 + i * 10_000);
        }
        let costs = meter.costs(simulcast, 13_000_000).map(|row| row.map(|rate| rate / 800));
        (meter, costs)
    }

    #[test]
    fn substreams_stand_alone_and_spatial_layers_upon_each_other() {
        let packets = [packet(0, 0, 0, 100), packet(0, 0, 1, 50), packet(1, 0, 0, 300)];
        let (meter, costs) = measured(true, &packets);
        assert_eq!(costs, [[100, 150, 150], [300, 300, 300], [0, 0, 0]]);
        assert_eq!(meter.costs(true, 20_000_000), Costs::default(), "a silent source has none");
        let packets = [packet(0, 0, 0, 100), packet(0, 0, 1, 50), packet(0, 1, 0, 200), packet(0, 1, 1, 100)];
        assert_eq!(measured(false, &packets).1, [[100, 150, 150], [300, 450, 450], [0, 0, 0]]);
    }

    #[test]
    fn a_layer_that_ends_is_gone() {
        let (mut meter, _) = measured(true, &[packet(0, 0, 0, 100), packet(1, 0, 0, 300)]);
        for i in 0..250 {
            meter.on_packets(&[packet(0, 0, 0, 100)], true, 13_000_000 + i * 10_000);
        }
        let costs = meter.costs(true, 15_500_000);
        assert!(costs[0][0] > 0 && costs[1][0] == 0);
    }
}

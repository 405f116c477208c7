//! Who is talking, from the audio-level extension (RFC 6464) that a client puts on its packets.

use super::Peer;
use portunus_plugin::media::AudioWatch;
use portunus_rtp::extension::AudioLevel;

/// The level of one speaker, averaged over windows of packets.
#[derive(Debug)]
pub(crate) struct SpeakerLevel {
    watch: AudioWatch,
    sum: u32,
    packets: u32,
    talking: bool,
}

impl SpeakerLevel {
    const fn new(watch: AudioWatch) -> Self {
        Self { watch, sum: 0, packets: 0, talking: false }
    }

    /// Takes the extension's value; tells when, at the end of a window, talking began or stopped, with the average.
    pub(crate) fn on_packet(&mut self, value: &[u8]) -> Option<(bool, f64)> {
        let level = AudioLevel::parse(value)?.level;
        self.sum = self.sum.saturating_add(level.into());
        self.packets += 1;
        if self.packets < self.watch.packets.max(1) {
            return None;
        }
        let average = f64::from(self.sum) / f64::from(self.packets);
        (self.sum, self.packets) = (0, 0);
        let talking = average < f64::from(self.watch.level);
        let changed = talking != self.talking;
        self.talking = talking;
        changed.then_some((talking, average))
    }
}

impl Peer {
    /// See [`portunus_plugin::Effect::WatchAudio`]. A new watch keeps what is known of the speaker.
    pub(crate) fn watch_audio(&mut self, line: usize, watch: Option<AudioWatch>) {
        let Some(line) = self.lines.get_mut(line) else { return };
        line.level = watch.map(|watch| {
            let talking = line.level.as_ref().is_some_and(|l| l.talking);
            SpeakerLevel { talking, ..SpeakerLevel::new(watch) }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(levels: &[u8]) -> Vec<(bool, f64)> {
        let mut speaker = SpeakerLevel::new(AudioWatch { packets: 2, level: 25 });
        levels.iter().filter_map(|level| speaker.on_packet(&[*level])).collect()
    }

    #[test]
    fn a_speaker_is_told_of_when_a_window_is_over_and_only_when_that_changes() {
        assert_eq!(run(&[127, 127, 10, 10, 10, 12, 127, 0]), [(true, 10.0), (false, 63.5)]);
        assert_eq!(run(&[10]), []);
    }

    #[test]
    fn the_voice_bit_is_no_part_of_the_level() {
        assert_eq!(run(&[0x80 | 20, 20]), [(true, 20.0)]);
        let mut speaker = SpeakerLevel::new(AudioWatch { packets: 1, level: 25 });
        assert_eq!(speaker.on_packet(&[]), None);
    }
}

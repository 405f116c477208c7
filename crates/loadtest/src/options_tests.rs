use super::*;
use clap::CommandFactory;

fn parsed(arguments: &str) -> Result<Options, String> {
    let all = std::iter::once("portunus-loadtest").chain(arguments.split_whitespace());
    let options = Options::try_parse_from(all).map_err(|e| e.to_string())?;
    options.check()?;
    Ok(options)
}

fn refused(arguments: &str, why: &str) {
    let error = parsed(arguments).expect_err(arguments);
    assert!(error.contains(why), "{arguments}: {error}");
}

#[test]
fn the_command_line_is_sound() {
    Options::command().debug_assert();
}

#[test]
fn scenarios_need_nothing_but_their_name() {
    for name in ["videoroom", "echotest", "videocall", "signalling", "churn", "idle"] {
        let options = parsed(name).unwrap();
        assert_eq!(options.name(), name);
        assert_eq!(options.common.url().unwrap(), "ws://127.0.0.1:8188");
    }
    let options = parsed("--transport http idle").unwrap();
    assert_eq!(options.common.url().unwrap(), "http://127.0.0.1:8088/janus");
}

#[test]
fn wrong_values_are_refused_with_a_reason() {
    refused("", "Usage");
    refused("party", "unrecognized subcommand");
    refused("idle --server 127.0.0.1:8188", "no scheme");
    refused("idle --server ftp://a", "neither ws, wss, http nor https");
    refused("idle --server ws:///", "no host");
    refused("idle --server wss://a --transport http", "do not fit together");
    refused("idle --duration 0s", "--duration is zero");
    refused("idle --threads 0", "from 1 to 1024");
    refused("idle --max-loss 1 --threads 2", "--max-loss, --threads without effect with idle");
    refused("idle --max-p99-ms 1 --address ::1", "--max-p99-ms, --address without effect with idle");
    refused("signalling --duration 5s --warm-up 1s", "--duration, --warm-up without effect with signalling");
    refused("signalling --shared-connections", "--shared-connections is about HTTP");
    refused("videoroom --ramp 1:2:3 --duration 5s", "--duration without effect with videoroom --ramp");
    refused("videoroom --hold 5s", "required");
    refused("videoroom --knee-loss 1", "required");
    refused("videoroom --knee-p99-ms 9", "required");
    refused("idle --duration 5y", "y is no unit of time");
    refused("idle --duration 1,5", "1,5 is no time");
    refused("idle --duration -5s", "unexpected argument");
    refused("idle --rate 0", "above 0");
    refused("idle --sessions 0", "0 is not in 1..");
    refused("idle --joins 0", "0 is not in 1..");
    refused("idle --max-loss 101", "between 0 and 100");
    refused("videoroom --loss nan", "between 0 and 100");
    refused("videoroom --bitrate 5", "between 10k and 1000M");
    refused("videoroom --bitrate 15k", "30 frames a second take 15360 to 251658240 bits a second");
    refused("videoroom --bitrate 300M", "15360 to 251658240");
    refused("videoroom --simulcast --bitrate 150k", "in three layers take 153600 to");
    refused("videoroom --bitrate fast", "fast is no bitrate");
    refused("videoroom --spacing never", "possible values: paced, chromium, burst");
    refused("videoroom --fps 0", "0 is not in 1..=240");
    refused("videoroom --no-audio --no-video", "cannot be used with");
    refused("videoroom --nack --no-nack", "cannot be used with");
    refused("videoroom --simulcast --no-video", "--simulcast is about video");
    refused("videoroom --meeting --subscribers 3", "cannot be used with");
    refused("videoroom --meeting", "two --publishers");
    refused("videoroom --multistream --per-feed", "cannot be used with");
    refused("videoroom --room 5 --rooms 2", "--room names one room");
    refused("videoroom --overshoot 150", "required");
    refused("videoroom --ramp 1:2:3 --overshoot 100", "100 is not in 101..=1000");
}

#[test]
fn a_ramp_goes_up() {
    let Scenario::Videoroom(room) = parsed("videoroom --ramp 10:5:30").unwrap().scenario else { panic!() };
    assert_eq!(room.ramp, Some(Ramp { start: 10, step: 5, end: 30 }));
    for wrong in ["10", "10:5", "0:5:30", "10:0:30", "30:5:10", "a:b:c", "1:2:3:4", "-1:2:3"] {
        assert!(ramp(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn times_have_units() {
    for (text, time) in
        [("90", 90_000), ("30s", 30_000), ("2m", 120_000), ("1h", 3_600_000), ("1.5s", 1500), ("20ms", 20)]
    {
        assert_eq!(duration(text).unwrap(), Duration::from_millis(time), "{text}");
    }
}

#[test]
fn bitrates_have_factors() {
    assert_eq!(
        [bitrate("1.5M"), bitrate("500k"), bitrate("64000")],
        [Ok(1_500_000), Ok(500_000), Ok(64_000)]
    );
}

//! Recordings to captures and back, and what tshark and Janus' tools say of them.

mod studio;

use portunus_mjr::{Medium, Reader, pcap};
use std::path::Path;
use studio::packets::packets_of_20_ms;
use studio::{Folder, Way, record, run, tool};

fn recording() -> Vec<u8> {
    let sent = packets_of_20_ms((0..100).map(|n| vec![0x78, n]).collect());
    record(Medium::Audio, "opus", 48_000, &sent, 0, Way { jitter_ms: 50, ..Way::WRAPS })
}

fn frames(bytes: &[u8]) -> Vec<(u32, Vec<u8>)> {
    Reader::new(bytes).unwrap().map(|f| (f.ms.unwrap(), f.bytes.to_vec())).collect()
}

#[test]
fn a_recording_comes_back_from_a_capture() {
    let folder = Folder::new();
    let bytes = recording();
    let (from, capture, back) = (folder.put("a.mjr", &bytes), folder.file("a.pcap"), folder.file("b.mjr"));
    let (done, said) = tool("mjr2pcap", &[&from, &capture]);
    assert!(done && said.contains("100 packets"), "{said}");
    let (done, said) = tool("pcap2mjr", &[Path::new("-c"), Path::new("opus"), &capture, &back]);
    assert!(done && said.contains("100 packets of SSRC 7, of 100 in all"), "{said}");
    let again = std::fs::read(&back).unwrap();
    assert_eq!(frames(&again), frames(&bytes));
    let header = |bytes: &[u8]| Reader::new(bytes).unwrap().header().map(|h| (h.medium, h.first_frame));
    assert_eq!(header(&again), header(&bytes));
    for args in [[&from, &capture], [&capture, &back]] {
        let name = if args[0] == &from { "mjr2pcap" } else { "pcap2mjr" };
        let front: &[&Path] = if name == "mjr2pcap" { &[] } else { &[Path::new("-copus")] };
        let all: Vec<&Path> = front.iter().copied().chain(args.iter().map(|p| p.as_path())).collect();
        let (done, said) = tool(name, &all);
        assert!(!done && said.contains("cannot make"), "nothing is written over: {said}");
    }
}

#[test]
fn the_busiest_sender_is_taken_or_the_one_that_was_asked_for() {
    let folder = Folder::new();
    let mut bytes = Vec::new();
    pcap::write_head(&mut bytes);
    let packet = |ssrc: u8, n: u8| [&[0x80, 96, 0, n][..], &[0, 0, 0, n, 0, 0, 0, ssrc], b"x"].concat();
    for (n, ssrc) in [9, 5, 5].into_iter().enumerate() {
        pcap::write_datagram(&mut bytes, 1_000_000 + n as u64 * 20_000, &packet(ssrc, n as u8));
    }
    // A report, and what is no RTP at all.
    pcap::write_datagram(&mut bytes, 1_100_000, &[0x80, 200, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0]);
    pcap::write_datagram(&mut bytes, 1_100_000, b"hello");
    let capture = folder.put("a.pcap", &bytes);
    for (args, ssrc, count) in [(&["-cvp8", "-w"][..], 5, 2), (&["-cvp8", "-s9"], 9, 1)] {
        let back = folder.file(&format!("{ssrc}.mjr"));
        let mut all: Vec<&Path> = args.iter().map(Path::new).collect();
        all.extend([capture.as_path(), &back]);
        let (done, said) = tool("pcap2mjr", &all);
        assert!(done && said.contains(&format!("{count} packets of SSRC {ssrc}, of 5 in all")), "{said}");
        assert_eq!(
            said.contains("a packet of SSRC 9") && said.contains("5 bytes that are no RTP"),
            ssrc == 5
        );
    }
    let refused = |args: &[&str], why: &str| {
        let mut all: Vec<&Path> = args.iter().map(Path::new).collect();
        let nowhere = folder.file("x.mjr");
        all.extend([capture.as_path(), &nowhere]);
        let (done, said) = tool("pcap2mjr", &all);
        assert!(!done && said.contains(why) && !nowhere.exists(), "{said}");
    };
    refused(&["-cvp8", "-s77"], "no packet of SSRC 77");
    refused(&["-cwhatever"], "no codec is called whatever");
    refused(&[], "--codec");
}

#[test]
fn other_tools_read_our_captures() {
    let folder = Folder::new();
    let (from, capture) = (folder.put("a.mjr", &recording()), folder.file("a.pcap"));
    let (done, said) = tool("mjr2pcap", &[&from, &capture]);
    assert!(done, "{said}");
    let file = capture.to_str().unwrap();
    let args =
        ["-r", file, "-d", "udp.port==2000,rtp", "-T", "fields", "-e", "rtp.seq", "-e", "ip.checksum.status"];
    if let Some(said) = run("tshark", &[&args[..], &["-o", "ip.check_checksum:TRUE"]].concat(), b"") {
        let said = String::from_utf8(said).unwrap();
        assert_eq!(said.lines().filter(|line| line.ends_with("\t1")).count(), 100, "{said}");
    }
    let back = folder.file("b.mjr");
    if run("pcap2mjr", &["-c", "opus", file, back.to_str().unwrap()], b"").is_some() {
        assert_eq!(frames(&std::fs::read(&back).unwrap()).len(), 100);
    }
}

#[test]
fn the_one_program_of_an_image_is_each_tool_under_its_name() {
    let folder = std::env::temp_dir().join(format!("portunus-names-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["mjr2pcap", "pcap2mjr", "portunus-pp-rec"] {
        let link = folder.join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_portunus-pp-rec"), &link).unwrap();
        let output = std::process::Command::new(&link).arg("--version").output().unwrap();
        assert!(
            String::from_utf8_lossy(&output.stdout).starts_with(&format!("{name} ")),
            "{name}: {output:?}"
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

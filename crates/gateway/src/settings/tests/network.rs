//! How media comes through to a container.

use super::*;

/// What was chosen: published, single port, ICE-lite, full trickle, milliseconds of hold.
type Choice = (bool, bool, bool, bool, u128);

fn chosen(start: &Start) -> Choice {
    let mut flags = start.flags();
    flags.container = Some(ContainerDefaults::new(None));
    let loaded = load(&flags, &|name| start.env.get(name).cloned(), &start.files);
    let (settings, problems) = loaded.unwrap_or_else(|problems| panic!("refused: {:#?}", lines(&problems)));
    assert_eq!(lines(&problems), Vec::<String>::new());
    let nat = &settings.nat;
    let published = settings.network == Some(ContainerNetwork::Published);
    let hold = nat.trickle_hold.as_millis();
    (published, settings.portunus.single_port, nat.ice_lite, nat.full_trickle, hold)
}

const PUBLISHED: Choice = (true, true, true, false, 0);
const HELD: Choice = (false, true, false, true, 100);

#[test]
fn in_a_container_a_declared_media_port_means_one_port_and_ice_lite_and_otherwise_candidates_are_held() {
    let mapping = "nat: { nat_1_1_mapping = \"203.0.113.80\" }";
    let both = format!("{mapping}\nportunus: {{ udp_port = 12000 }}");
    let none: &[(&str, &str)] = &[];
    let table = [
        ("", none, HELD),
        ("", &[("PUBLIC_IP", "203.0.113.80")], PUBLISHED),
        ("", &[("PUBLIC_IP", " ")], HELD),
        // A mapping alone says where the machine is, not that a port of it is open.
        (mapping, &[], HELD),
        (&both, &[], PUBLISHED),
        (mapping, &[("PORTUNUS_UDP_PORT", "12000")], PUBLISHED),
        ("portunus: { udp_port = 12000 }", &[], HELD),
        ("portunus: { udp_port = 0 }", &[], (false, false, false, true, 100)),
        ("media: { rtp_port_range = \"20000-20100\" }", &[], (false, false, false, true, 100)),
        (
            "media: { rtp_port_range = \"20000-20100\" }",
            &[("PUBLIC_IP", "203.0.113.80")],
            (true, false, true, false, 0),
        ),
    ];
    for (file, env, wanted) in table {
        let start =
            env.iter().fold(Start::default().janus(file), |start, (name, text)| start.env(name, text));
        assert_eq!(chosen(&start), wanted, "{file} {env:?}");
    }
}

#[test]
fn what_the_files_say_wins_over_what_the_container_would_choose() {
    let public = |file: &str| chosen(&Start::default().janus(file).env("PUBLIC_IP", "203.0.113.80"));
    assert_eq!(public("nat: { ice_lite = false; full_trickle = true }"), (true, true, false, true, 0));
    assert_eq!(public("portunus: { single_port = false }"), (true, false, true, false, 0));
    let plain = |file: &str| chosen(&Start::default().janus(file));
    assert_eq!(plain("nat: { ice_lite = true }"), (false, true, true, true, 0));
    assert_eq!(plain("nat: { full_trickle = false }"), (false, true, false, false, 0));
    assert_eq!(plain("nat: { trickle_hold_ms = 0 }"), (false, true, false, true, 0));
    assert_eq!(plain("nat: { trickle_hold_ms = 250 }"), (false, true, false, true, 250));
    let flags = Start::default().words(&["--trickle-hold-ms=70", "-f"]);
    assert_eq!(chosen(&flags), (false, true, false, true, 70));
}

#[test]
fn outside_of_a_container_nothing_is_chosen() {
    let settings = Start::default().env("PUBLIC_IP", "203.0.113.80").settings();
    assert_eq!(settings.network, None);
    assert!(!settings.portunus.single_port && !settings.nat.ice_lite && settings.nat.trickle_hold.is_zero());
}

//! Modules that are switched on in a file and are not there.

use super::*;

#[test]
fn enabled_modules_that_are_not_built_are_told() {
    let start = Start::default()
        .file("janus.eventhandler.rabbitmqevh.jcfg", "general: { enabled = true }")
        .file("janus.eventhandler.otherevh.jcfg", "general: { enabled = false }")
        .file("janus.eventhandler.nanomsgevh.jcfg", "general: { enabled = \"yes\" }")
        .file("janus.transport.nanomsg.jcfg", "general: { enabled = true }")
        .file("janus.transport.rabbitmq.jcfg", "general: { enabled = false } admin: { admin_enabled = true }")
        .file("janus.transport.mqtt.jcfg", "general: { enabled = false; certfile = /etc/x.pem }")
        .file("janus.logger.jsonlog.jcfg", "general: { enabled = true }")
        .file("janus.eventhandler.rabbitmqevh.jcfg.bak", "general: { enabled = true }")
        .file("unrelated.txt", "{{{");
    let (_, warnings) = start.good();
    let told: Vec<&str> = warnings.iter().filter_map(|line| line.split(':').next()).collect();
    let wanted = [
        "janus.eventhandler.nanomsgevh.jcfg",
        "janus.eventhandler.rabbitmqevh.jcfg",
        "janus.logger.jsonlog.jcfg",
        "janus.transport.nanomsg.jcfg",
        "janus.transport.rabbitmq.jcfg",
    ];
    assert_eq!(told, wanted, "{warnings:?}");
    let quiet = start.janus(
        "events: { disable = \"libjanus_nanomsgevh.so, libjanus_rabbitmqevh.so\" }
         loggers: { disable = \"libjanus_jsonlog.so\" }
         transports: { disable = \"libjanus_nanomsg.so,libjanus_rabbitmq.so\" }",
    );
    assert_eq!(quiet.good().1, Vec::<String>::new());
}

#[test]
fn plugins_that_are_not_built_are_one_line() {
    let start = Start::default()
        .file("janus.plugin.streaming.jcfg", "stream-1: { x = 1 }")
        .file("janus.plugin.sip.jcfg", "not even {")
        .file("janus.plugin.lua.jcfg", "")
        .file("janus.plugin.echotest.jcfg", "")
        .file("janus.plugin.videoroom.jcfg", "")
        .janus("plugins: { disable = \"libjanus_lua.so\" }");
    let wanted = "etc: warning: has files of plugins that are not built: sip, streaming";
    assert_eq!(start.good().1, [wanted]);
}

#[test]
fn a_broken_file_that_nobody_reads_is_a_warning() {
    let start = Start::default().file("janus.transport.mqtt.jcfg", "general: {\n enabled = on\n}");
    let wanted =
        "janus.transport.mqtt.jcfg:2: warning: `on` is not a value: texts stand in double quotes (column 12)";
    assert_eq!(start.good().1, [wanted]);
}

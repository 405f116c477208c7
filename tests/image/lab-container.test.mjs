// The image as an operator meets it: what it says of itself, what may be mounted, how little it needs, how it ends.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import tls from 'node:tls';
import { describe } from 'node:test';

import { HOST, IMAGE, ROOT, SHELL_IMAGE, TEST_MS, attempt, certificates, docker, folder, get, inLab, run, start, until } from './support.mjs';

const USER = 10001;
const STOP_MS = 1_000;
/** The most it may be, without the samples. */
const BUDGET = 20_000_000;

const config = async (image) => JSON.parse(await docker('image', 'inspect', image))[0].Config;
const samples = (t) => {
  const place = folder(t);
  chmodSync(place, 0o777);
  return place;
};
/** A configuration as a host mounts it: that of the image, changed. */
const hostConfiguration = async (t, change = (text) => text, files = {}) => {
  const place = folder(t);
  await run(path.join(ROOT, 'scripts/image/config.sh'), [path.join(ROOT, 'config'), place]);
  const main = path.join(place, 'janus.jcfg');
  writeFileSync(main, change(readFileSync(main, 'utf8')));
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(path.join(place, name), text);
    chmodSync(path.join(place, name), 0o755);
  }
  return place;
};
const named = (name) => (text) => text.replace(/#server_name = .*/, `server_name = "${name}"`);
const nameOf = async (container) => (await get(`${container.http}/info`)).json['server-name'];

describe('the images', () => {
  for (const image of [IMAGE, SHELL_IMAGE]) {
    inLab(`${image} says how it is run, and what it is`, { timeout: TEST_MS }, async () => {
      const its = await config(image);
      assert.deepEqual(Object.keys(its.ExposedPorts).sort(), ['10000/udp', '7889/tcp', '8089/tcp']);
      assert.deepEqual(its.Entrypoint, ['/janus/bin/portunus', 'start']);
      assert.deepEqual(its.Healthcheck.Test, ['CMD', '/janus/bin/portunus', 'healthcheck']);
      assert.equal(its.User, '10001:10001');
      assert.equal(its.StopSignal, 'SIGTERM');
      const version = /^version = "(.*)"$/m.exec(readFileSync(path.join(ROOT, 'Cargo.toml'), 'utf8'))[1];
      const label = (name) => its.Labels[`org.opencontainers.image.${name}`];
      assert.equal(label('version'), version);
      assert.equal(label('licenses'), 'MIT OR Apache-2.0');
      assert.match(label('created'), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      assert.ok(label('title') && label('description') && label('revision'));
    });
  }

  inLab('what build.sh made passes its check', { timeout: TEST_MS }, async () => {
    const said = await run(path.join(ROOT, 'scripts/image/check.sh'), [path.join(ROOT, 'image/out')], { env: { ...process.env, SIZE_BUDGET_MB: String(BUDGET / 1e6) } });
    assert.match(said, /all right/);
  });

  inLab('the check fails when the budget is exceeded', { timeout: TEST_MS }, async () => {
    const { code, stderr } = await attempt(path.join(ROOT, 'scripts/image/check.sh'), [path.join(ROOT, 'image/out')], { env: { ...process.env, SIZE_BUDGET_MB: '1' } });
    assert.equal(code, 1);
    assert.match(stderr, /larger than its budget/);
  });

  inLab('the target image is within its budget and has no shell', { timeout: TEST_MS }, async (t) => {
    const [{ Size: size }] = JSON.parse(await docker('image', 'inspect', IMAGE));
    const name = `portunus-test-files-${process.pid}`;
    await docker('create', '--name', name, IMAGE);
    t.after(() => docker('rm', '--force', '--volumes', name));
    const listing = await run('sh', ['-c', 'docker export "$1" | tar --list --verbose', 'sh', name]);
    const files = listing.trim().split('\n').map((line) => line.split(/\s+/));
    const samplesSize = files.filter((file) => file[5].startsWith('janus/html/')).reduce((sum, file) => sum + Number(file[2]), 0);
    assert.ok(size - samplesSize <= BUDGET, `${size} bytes, ${samplesSize} of them samples`);
    assert.ok(!files.some((file) => /(^|\/)(sh|bash|busybox|dash)$/.test(file[5])), 'no shell');
    assert.ok(!files.some((file) => /^-..s/.test(file[0])), 'nothing changes its user');
  });

  inLab('built by Dockerfile alone it has the same files and owners', { timeout: 2 * TEST_MS }, async (t) => {
    // The stage that compiles is replaced by what it has made.
    const dockerfile = readFileSync(path.join(ROOT, 'Dockerfile'), 'utf8').replace(/^# --- build:.*?(?=^# --- shell:)/ms, 'FROM scratch AS content\nADD root.tar /image/root/\n\n');
    assert.match(dockerfile, /^COPY --from=content/m);
    const tag = `portunus-test-alone:${process.pid}`;
    t.after(() => docker('image', 'rm', '--force', tag).catch(() => {}));
    await run('docker', ['build', '--target', 'exec', '--tag', tag, '--file', path.join(folder(t, { Dockerfile: dockerfile }), 'Dockerfile'), path.join(ROOT, 'image/out')]);
    const listing = async (image) => {
      const name = `portunus-test-list-${process.pid}`;
      await docker('create', '--name', name, image);
      const lines = await run('sh', ['-c', 'docker export "$1" | tar --list --verbose --numeric-owner', 'sh', name]);
      await docker('rm', '--volumes', name);
      // Not the times: docker's own folders are made now.
      return lines.trim().split('\n').map((line) => line.split(/\s+/)).map((part) => [part[0], part[1], part[2], ...part.slice(5)].join(' ')).sort();
    };
    assert.deepEqual(await listing(tag), await listing(IMAGE));
  });

  inLab('holds a bill of its parts, each with a licence, and their texts', { timeout: TEST_MS }, async (t) => {
    const gateway = await start(t);
    const bill = JSON.parse(await gateway.file('/sbom.json'));
    assert.equal(bill.bomFormat, 'CycloneDX');
    const parts = bill.components.map((part) => part['bom-ref']);
    for (const wanted of ['pkg:cargo/tokio@', 'pkg:cargo/aws-lc-rs@', 'pkg:npm/janus-gateway@', 'pkg:deb/debian/glibc@']) {
      assert.ok(parts.some((part) => part.startsWith(wanted)), wanted);
    }
    assert.equal(new Set(parts).size, parts.length);
    for (const part of bill.components) assert.ok(part.version && part.licenses[0].expression, part.name);
    const known = new Set([...parts, 'image']);
    for (const { ref, dependsOn } of bill.dependencies) assert.ok([ref, ...dependsOn].every((one) => known.has(one)), ref);
    assert.match(await gateway.file('/LICENSES.txt'), /Permission is hereby granted/);
    assert.equal(await gateway.file('/sbom.json'), readFileSync(path.join(ROOT, 'image/out/sbom.json'), 'utf8'));
  });
});

describe('the build image', () => {
  const BUILD_IMAGE = `${process.env.BUILD_IMAGE_NAME || 'janus_build'}:${process.env.BUILD_IMAGE_TAG || 'latest'}`;

  inLab('keeps the authorities of the network that builds out of the target image', { timeout: TEST_MS }, async () => {
    // In the lab there is one of its own: the first step of setup.sh is done with it, then the part of build.sh.
    const steps = `set -e
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=own -keyout /dev/null -out /usr/local/share/ca-certificates/own.crt 2>/dev/null
      update-ca-certificates >/dev/null 2>&1
      line=$(sed -n 3p /usr/local/share/ca-certificates/own.crt)
      grep -q -F "$line" /etc/ssl/certs/ca-certificates.crt
      . /image/build.sh
      root=/tmp/made; authorities
      ! grep -q -F "$line" /tmp/made/etc/ssl/certs/ca-certificates.crt
      grep -c BEGIN /tmp/made/etc/ssl/certs/ca-certificates.crt`;
    const count = await docker('run', '--rm', '--network', 'none', '--entrypoint', 'bash', BUILD_IMAGE, '-c', steps, '/image/test');
    assert.ok(Number(count) > 100, `${count} authorities`);
  });

  inLab('makes the same content again, without a network', { timeout: 5 * TEST_MS }, async (t) => {
    if (!existsSync(path.join(ROOT, 'image/vendor'))) return void t.skip('crates were fetched in the build (no cargo here)');
    const name = `portunus-test-again-${process.pid}`;
    t.after(() => docker('rm', '--force', '--volumes', name));
    await docker('create', '--name', name, '--network', 'none', '--volume', `${BUILD_IMAGE.split(':')[0].replaceAll('/', '_')}_cargo:/image/target`, BUILD_IMAGE);
    await run('docker', ['start', '--attach', name], { timeout: 4 * TEST_MS });
    const place = folder(t);
    await docker('cp', `${name}:/image/out/root.tar`, place);
    const [one, other] = [path.join(ROOT, 'image/out/root.tar'), path.join(place, 'root.tar')].map((file) => createHash('sha256').update(readFileSync(file)).digest('hex'));
    assert.equal(one, other);
  });
});

describe('a container', () => {
  inLab('becomes healthy, and its health check is that of the binary', { timeout: TEST_MS }, async (t) => {
    const gateway = await start(t);
    await until('healthy', 30_000, async () => (await gateway.inspect()).State.Health.Status === 'healthy', () => gateway.log());
    const { code, stdout } = await gateway.exec('/janus/bin/portunus', 'healthcheck');
    assert.equal(code, 0);
    assert.match(stdout, /healthy/);
  });

  inLab('is stopped within a second when there is no call, and ends with 0', { timeout: TEST_MS }, async (t) => {
    const gateway = await start(t);
    const took = await gateway.stop();
    assert.ok(took < STOP_MS, `${took} ms`);
    assert.equal((await gateway.inspect()).State.ExitCode, 0, await gateway.log());
  });

  inLab('listens for HTTPS only: no plain HTTP, no WebSockets', { timeout: TEST_MS }, async (t) => {
    const gateway = await start(t);
    const look = 'for port in 8088 8188 8989 7088 7188 8089 7889 8086; do (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && echo "$port"; done; true';
    const open = await docker('run', '--rm', '--network', `container:${gateway.name}`, '--entrypoint', 'bash', SHELL_IMAGE, '-c', look);
    assert.deepEqual(open.trim().split('\n').sort(), ['7889', '8086', '8089']);
    assert.equal(gateway.http, `https://${HOST}:${gateway.ports.https}/janus`);
    // Health and metrics are for the container itself.
    const elsewhere = await docker('run', '--rm', '--entrypoint', 'bash', SHELL_IMAGE, '-c',
      `(exec 3<>/dev/tcp/${(await gateway.inspect()).NetworkSettings.IPAddress}/8086) 2>/dev/null && echo open || echo closed`);
    assert.equal(elsewhere.trim(), 'closed');
  });

  inLab('says at its start what it is made of and what it was given', { timeout: TEST_MS }, async (t) => {
    const gateway = await start(t, { env: { COPY_JANUS_SAMPLES: 'false', PORTUNUS_ADMIN_SECRET: 'nobody-may-read-this' } });
    const log = await gateway.log();
    for (const line of (await gateway.file('/build.info')).trim().split('\n')) assert.ok(log.includes(line), line);
    assert.match(log, /COPY_JANUS_SAMPLES/);
    assert.ok(!log.includes('nobody-may-read-this'), 'no secret in the log');
  });

  inLab('needs no capability, no writable root and no user of its own', { timeout: TEST_MS }, async (t) => {
    const gateway = await start(t, { options: ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges', '--user', '54321'] });
    const { status } = await get(`${gateway.http}/info`);
    assert.equal(status, 200);
    // Recordings go to a volume that any user of group 0 may write to.
    const { code, stderr } = await attempt('docker', ['run', '--rm', '--read-only', '--cap-drop', 'ALL', '--user', '54321', '--entrypoint', 'bash', SHELL_IMAGE,
      '-c', 'touch /janus/bin/janus-recordings/x /html/x /janus/etc/janus_fallback/x && ! touch /janus/x 2>/dev/null']);
    assert.equal(code, 0, stderr);
    assert.ok(await gateway.stop() < STOP_MS);
  });

  inLab('finds names by the resolver of its network, without anything but itself in the image', { timeout: TEST_MS }, async (t) => {
    const network = `portunus-test-${process.pid}`;
    await docker('network', 'create', network);
    t.after(() => docker('network', 'rm', network).catch(() => {}));
    const joined = ['--network', network];
    // Any answer of a web server counts as delivered: a second gateway is one.
    await start(t, { env: { PORTUNUS_HTTP_HTTP: 'true' }, options: [...joined, '--network-alias', 'collector.test'] });
    const place = await hostConfiguration(t, (text) => text.replace('#broadcast = false', 'broadcast = true'));
    const handler = path.join(place, 'janus.eventhandler.sampleevh.jcfg');
    writeFileSync(handler, readFileSync(handler, 'utf8').replace('#enabled = false', 'enabled = true').replace(/#backend = .*/, 'backend = "http://collector.test:8088/events"'));
    const gateway = await start(t, { env: { RUN_WITH_HOST_CONFIGURATION_DIR: 'true' }, volumes: [[place, '/janus/etc/janus_host', 'ro']], options: joined });
    await get(gateway.http, { janus: 'create', transaction: 'x' });
    const look = 'exec 3<>/dev/tcp/127.0.0.1/8086 && printf "GET /metrics HTTP/1.0\\r\\n\\r\\n" >&3 && cat <&3';
    const metrics = () => docker('run', '--rm', '--network', `container:${gateway.name}`, '--entrypoint', 'bash', SHELL_IMAGE, '-c', look);
    await until('events are delivered', 10_000, async () => /portunus_handler_events_total\{[^}]*sampleevh[^}]*delivered[^}]*\} [1-9]/.test(await metrics()), metrics);
  });

  inLab('works in the image with a shell, too', { timeout: TEST_MS }, async (t) => {
    const gateway = await start(t, { image: SHELL_IMAGE, options: ['--read-only', '--cap-drop', 'ALL'] });
    assert.equal((await get(`${gateway.http}/info`)).status, 200);
    assert.ok(await gateway.stop() < STOP_MS);
  });
});

describe('what is mounted', () => {
  inLab('/etc/certs and /archive: certificates as certbot links them', { timeout: TEST_MS }, async (t) => {
    const [live, archive, made] = [folder(t), folder(t), await certificates(t)];
    mkdirSync(path.join(archive, 'meet.example.org'));
    for (const name of ['fullchain', 'privkey']) {
      writeFileSync(path.join(archive, `meet.example.org/${name}1.pem`), readFileSync(path.join(made, `${name}.pem`)));
      symlinkSync(`../../archive/meet.example.org/${name}1.pem`, path.join(live, `${name}.pem`));
    }
    const gateway = await start(t, { certs: false, volumes: [[live, '/etc/certs', 'ro'], [archive, '/archive', 'ro']] });
    const socket = tls.connect({ host: HOST, port: gateway.ports.https, rejectUnauthorized: false });
    await new Promise((resolve, reject) => { socket.once('secureConnect', resolve).once('error', reject); });
    assert.equal(socket.getPeerCertificate().subject.CN, 'portunus-lab');
    socket.destroy();
  });

  inLab('/html: COPY_JANUS_SAMPLES fills it, and leaves what others placed', { timeout: TEST_MS }, async (t) => {
    const pages = samples(t);
    writeFileSync(path.join(pages, 'ours.html'), 'a page of the host');
    const gateway = await start(t, { env: { COPY_JANUS_SAMPLES: 'true' }, volumes: [[pages, '/html']] });
    for (const name of ['index.html', 'janus.js', 'adapter.js', 'videoroom.html', 'ours.html']) assert.ok(readdirSync(pages).includes(name), name);
    assert.equal(readFileSync(path.join(pages, 'ours.html'), 'utf8'), 'a page of the host');
    const origin = new URL(gateway.http).origin;
    assert.equal((await get(`${origin}/demos/ours.html`)).text, 'a page of the host');
    assert.match((await get(`${origin}/demos/janus.js`)).text, /function Janus/);
  });

  inLab('/html: stays as it is without COPY_JANUS_SAMPLES', { timeout: TEST_MS }, async (t) => {
    const pages = samples(t);
    await start(t, { volumes: [[pages, '/html']] });
    assert.deepEqual(readdirSync(pages), []);
  });

  inLab('/janus/etc/janus_host: RUN_WITH_HOST_CONFIGURATION_DIR takes it, and only that', { timeout: TEST_MS }, async (t) => {
    const place = await hostConfiguration(t, named('of the host'));
    const mount = { volumes: [[place, '/janus/etc/janus_host', 'ro']] };
    assert.equal(await nameOf(await start(t, { ...mount, env: { RUN_WITH_HOST_CONFIGURATION_DIR: 'true' } })), 'of the host');
    assert.notEqual(await nameOf(await start(t, mount)), 'of the host');
  });
});

describe('CONFIG_GEN_SCRIPT', () => {
  const SCRIPT = '#!/bin/bash\nset -e\nsed -i "s/of the host/made by $MAKER/" janus.jcfg\n';
  const settings = { RUN_WITH_HOST_CONFIGURATION_DIR: 'true', CONFIG_GEN_SCRIPT: 'generate.sh', MAKER: 'a script' };
  const withSecret = (text) => named('of the host')(text).replace(/#admin_secret = .*/, 'admin_secret = "hidden-from-the-log"');

  inLab('runs in the mounted folder where that can be written', { timeout: TEST_MS }, async (t) => {
    const place = await hostConfiguration(t, withSecret, { 'generate.sh': SCRIPT });
    chownSync(place, USER, 0);
    for (const name of readdirSync(place)) chownSync(path.join(place, name), USER, 0);
    const gateway = await start(t, { image: SHELL_IMAGE, env: settings, volumes: [[place, '/janus/etc/janus_host']] });
    assert.equal(await nameOf(gateway), 'made by a script');
    assert.match(readFileSync(path.join(place, 'janus.jcfg'), 'utf8'), /made by a script/);
    assert.ok(!(await gateway.log()).includes('hidden-from-the-log'), 'secrets are masked');
  });

  inLab('runs in the fallback folder where it is mounted read-only, again after a restart', { timeout: TEST_MS }, async (t) => {
    const place = await hostConfiguration(t, withSecret, { 'generate.sh': SCRIPT });
    const gateway = await start(t, { image: SHELL_IMAGE, env: settings, volumes: [[place, '/janus/etc/janus_host', 'ro']], options: ['--read-only'] });
    assert.equal(await nameOf(gateway), 'made by a script');
    assert.match(await gateway.log(), /\/janus\/etc\/janus_fallback/);
    await docker('restart', '--time', '5', gateway.name);
    await gateway.ready();
    assert.equal(await nameOf(gateway), 'made by a script');
    assert.equal((await gateway.exec('/janus/bin/portunus', 'healthcheck')).code, 0);
  });

  inLab('in the image without a shell says which image has one', { timeout: TEST_MS }, async (t) => {
    const place = await hostConfiguration(t, withSecret, { 'generate.sh': SCRIPT });
    const gateway = await start(t, { env: settings, volumes: [[place, '/janus/etc/janus_host', 'ro']], ready: false });
    await until('it ends', 10_000, async () => !(await gateway.inspect()).State.Running, () => gateway.log());
    assert.notEqual((await gateway.inspect()).State.ExitCode, 0);
    assert.match(await gateway.log(), /-shell/);
  });
});

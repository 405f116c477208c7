/* Runs libsrtp2 for the differential test: packets on stdin, verdicts and packets on stdout.
 *
 * Arguments: profile number of DTLS-SRTP, master key and salt in hex.
 * A command is one letter, a 16-bit length (big endian) and the packet:
 *   p, P  protect RTP, RTCP      u, U  unprotect RTP, RTCP
 * A reply is one letter, a 16-bit length and, if the letter is 'k', the packet:
 *   k  ok      r  replayed      o  too old      a  authentication failed      x  refused otherwise
 */
#include <srtp2/srtp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what) {
    fprintf(stderr, "driver: %s\n", what);
    exit(2);
}

static void set_profile(srtp_policy_t *policy, int profile) {
    switch (profile) {
    case 1:
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtcp);
        break;
    case 2:
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy->rtp);
        srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy->rtcp);
        break;
    case 7:
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtp);
        srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtcp);
        break;
    case 8:
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtp);
        srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtcp);
        break;
    default:
        fail("unknown profile");
    }
}

static srtp_t make_session(int profile, srtp_ssrc_type_t direction, unsigned char *key) {
    srtp_policy_t policy;
    srtp_t session;
    memset(&policy, 0, sizeof policy);
    set_profile(&policy, profile);
    policy.ssrc.type = direction;
    policy.key = key;
    policy.window_size = 128;
    policy.next = NULL;
    if (srtp_create(&session, &policy) != srtp_err_status_ok)
        fail("srtp_create refuses the profile");
    return session;
}

static char verdict(srtp_err_status_t status) {
    switch (status) {
    case srtp_err_status_ok: return 'k';
    case srtp_err_status_replay_fail: return 'r';
    case srtp_err_status_replay_old: return 'o';
    case srtp_err_status_auth_fail: return 'a';
    default: return 'x';
    }
}

int main(int argc, char **argv) {
    /* 4-octet alignment is what the library's header structures expect. */
    static unsigned char packet[65536 + SRTP_MAX_TRAILER_LEN] __attribute__((aligned(8)));
    unsigned char key[64] = {0};
    unsigned char head[3];
    srtp_t out, in;
    size_t i;

    if (argc != 3 || strlen(argv[2]) > 2 * sizeof key)
        fail("usage: driver PROFILE KEY");
    for (i = 0; i < strlen(argv[2]) / 2; i++) {
        unsigned octet;
        if (sscanf(argv[2] + 2 * i, "%2x", &octet) != 1)
            fail("the key is not hex");
        key[i] = (unsigned char)octet;
    }
    if (srtp_init() != srtp_err_status_ok)
        fail("srtp_init");
    out = make_session(atoi(argv[1]), ssrc_any_outbound, key);
    in = make_session(atoi(argv[1]), ssrc_any_inbound, key);

    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        int len = head[1] << 8 | head[2];
        srtp_err_status_t status;
        char answer;
        if (fread(packet, 1, (size_t)len, stdin) != (size_t)len)
            fail("short command");
        switch (head[0]) {
        case 'p': status = srtp_protect(out, packet, &len); break;
        case 'P': status = srtp_protect_rtcp(out, packet, &len); break;
        case 'u': status = srtp_unprotect(in, packet, &len); break;
        case 'U': status = srtp_unprotect_rtcp(in, packet, &len); break;
        default: fail("unknown command"); return 2;
        }
        answer = verdict(status);
        if (answer != 'k')
            len = 0;
        putchar(answer);
        putchar(len >> 8);
        putchar(len & 255);
        fwrite(packet, 1, (size_t)len, stdout);
    }
    return 0;
}

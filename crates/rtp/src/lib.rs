//! RTP and RTCP: views, rewriting, header extensions, codecs, layer choice, retransmission store

//! libconfig (.jcfg) parser and printer with line numbers

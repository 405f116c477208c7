//! Sessions, handles, transactions, authorisation, JSEP state: a pure state machine told the time

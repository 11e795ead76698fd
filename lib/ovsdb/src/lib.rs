//! OVSDB (RFC 7047): values, schema, transactions, monitors, log, server core and client.

"""The one history of the schema, for SQLite and PostgreSQL alike. Each revision ends with
`install_triggers`."""

#: the last revision; a test compares it with the scripts
HEAD = "0003"

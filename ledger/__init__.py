"""What is true: tables, migrations, set-based reads and writes, the attempt's state machine."""

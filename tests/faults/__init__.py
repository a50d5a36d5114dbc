"""What happens when the database, its notifications, servers or their clients fail: reliability.md section 3, by row.

- SIGKILL in the middle of writes: tests/processes/test_kill.py
- the database gone, slow, held up: test_outage.py; a server stopped and continued: test_stopped_process.py
- a standby promoted, a dump restored: test_failover.py
- notifications lost, a connection that hears nothing any more: test_propagation.py
- a bundle half-written, broken, empty, gone: tests/rpc/test_policy.py, tests/replica/test_policy_files.py
- a pooler that mixes sessions up: test_pooler.py, with a real PgBouncer, only in the long form
- ten times the load: bench/overload.py, test_clients.py; the budget of writes and refusals: tests/rpc/test_budget.py
- idle and slow connections, too many of them, callers that go away: test_clients.py; messages, metadata and streams
  that are too large or too many: tests/transport/test_servers.py
- SIGTERM, and restarts one after another: test_rolling.py, tests/cli/test_serving.py
- a migration interrupted: tests/store/test_migrations.py
- a full disk, a locked file: test_storage.py; an SQLite file deleted or replaced: test_replaced_file.py
- why the database fails, as the log says it: test_causes_in_the_log.py; as commands say it when they start:
  tests/cli/test_start_failures.py
"""

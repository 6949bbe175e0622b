#pragma once
#include <sqlite3.h>
// SQLITE_TRANSIENT is a cast that Swift cannot import.
static inline sqlite3_destructor_type rw_sqlite_transient(void) { return SQLITE_TRANSIENT; }
static inline int rw_sqlite_no_checkpoint_on_close(sqlite3 *db, int on) { return sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on, (int *)0); }

/* SPDX-License-Identifier: Apache-2.0 */
/* The migrations' SQL as NUL-terminated text, named in schema.c. */
    .section .rodata
    .global mariadb_migration_0001
    .hidden mariadb_migration_0001
mariadb_migration_0001:
    .incbin "0001_queue.sql"
    .byte 0
    .global mariadb_migration_0002
    .hidden mariadb_migration_0002
mariadb_migration_0002:
    .incbin "0002_features.sql"
    .byte 0
    .global mariadb_migration_0003
    .hidden mariadb_migration_0003
mariadb_migration_0003:
    .incbin "0003_memos.sql"
    .byte 0
    .global mariadb_migration_0004
    .hidden mariadb_migration_0004
mariadb_migration_0004:
    .incbin "0004_outputs.sql"
    .byte 0
    .global mariadb_migration_0005
    .hidden mariadb_migration_0005
mariadb_migration_0005:
    .incbin "0005_room.sql"
    .byte 0
    .global mariadb_migration_0006
    .hidden mariadb_migration_0006
mariadb_migration_0006:
    .incbin "0006_gone_workers.sql"
    .byte 0
    .global mariadb_migration_pool_0001
    .hidden mariadb_migration_pool_0001
mariadb_migration_pool_0001:
    .incbin "pool_0001.sql"
    .byte 0
    .section .note.GNU-stack,"",%progbits

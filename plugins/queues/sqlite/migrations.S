/* SPDX-License-Identifier: Apache-2.0 */
/* The migrations' SQL as NUL-terminated text, named in schema.c. */
    .section .rodata
    .global sqlite_migration_0001
    .hidden sqlite_migration_0001
sqlite_migration_0001:
    .incbin "0001_queue.sql"
    .byte 0
    .global sqlite_migration_0002
    .hidden sqlite_migration_0002
sqlite_migration_0002:
    .incbin "0002_memos.sql"
    .byte 0
    .section .note.GNU-stack,"",%progbits

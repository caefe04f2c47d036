/* SPDX-License-Identifier: Apache-2.0 */
/* bp-bench - load on a running daemon over HTTP: how many jobs a second, and how soon a waiting worker has one. */
#include "bench.h"

int main(int argc, char **argv)
{
    static const struct peer *const PEERS[] = {&PEER_BPD, NULL};
    return bench_main(argc, argv, "bp-bench", PEERS);
}

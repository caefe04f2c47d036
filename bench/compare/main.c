/* SPDX-License-Identifier: Apache-2.0 */
/* bench/compare - the load of bp-bench on other queues. bench/compare_run starts them. */
#include "dispatch/bench.h"
#include "peers.h"

int main(int argc, char **argv)
{
    static const struct peer *const PEERS[] = {&PEER_BPD,   &PEER_PHP,      &PEER_BEANSTALKD,
                                               &PEER_REDIS, &PEER_GEARMAND, NULL};
    return bench_main(argc, argv, "compare", PEERS);
}

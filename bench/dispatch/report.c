/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "bench.h"

static const double QUANTILES[] = {0.50, 0.90, 0.99, 0.999};
static const char *const NAMES[] = {"p50", "p90", "p99", "p999"};

static void histogram_json(const char *name, const struct histogram *h)
{
    printf("\"%s\":{\"count\":%llu", name, (unsigned long long)h->count);
    for (int i = 0; i < 4; i++)
        printf(",\"%s\":%.3f", NAMES[i], (double)histogram_percentile(h, QUANTILES[i]) / 1000);
    printf(",\"mean\":%.3f,\"max\":%.3f}", h->count ? (double)h->sum_us / (double)h->count / 1000 : 0,
           (double)h->max_us / 1000);
}

static void histogram_text(const char *name, const struct histogram *h)
{
    printf("  %-22s", name);
    for (int i = 0; i < 4; i++)
        printf(" %s %8.3f", NAMES[i], (double)histogram_percentile(h, QUANTILES[i]) / 1000);
    printf(" max %8.3f ms  (%llu)\n", (double)h->max_us / 1000, (unsigned long long)h->count);
}

static void print_json(const struct run *r, double seconds)
{
    const struct counts *c = &r->count, *b = &r->at_begin;
    printf("{\"peer\":\"%s\",\"mode\":\"%s\",\"workflow\":\"%s\",\"producers\":%d,\"workers\":%d,\"idle_pollers\":%d,"
           "\"batch\":%d,"
           "\"submit_batch\":%d,\"complete_batch\":%d,\"take_next\":%s,\"rate\":%g,\"poll\":%g,\"seconds\":%.3f,",
           r->peer->name, r->opt.mode, r->opt.workflow, r->opt.producers, r->opt.workers, r->opt.idle_pollers,
           r->opt.batch, r->opt.submit_batch, r->opt.complete_batch, r->opt.take_next ? "true" : "false", r->opt.rate,
           r->opt.poll_ms, seconds);
    printf("\"cycles_per_s\":%.0f,\"submits_per_s\":%.0f,\"submitted\":%llu,\"leased\":%llu,\"completed\":%llu,",
           (double)(r->at_end.completed - b->completed) / seconds,
           (double)(r->at_end.submitted - b->submitted) / seconds, (unsigned long long)c->submitted,
           (unsigned long long)c->leased, (unsigned long long)c->completed);
    printf("\"refused\":%llu,\"errors\":%llu,\"doubled\":%llu,\"lost\":%lld,\"reconnects\":%llu,\"unit\":\"ms\",",
           (unsigned long long)c->refused, (unsigned long long)c->errors, (unsigned long long)c->doubled,
           (long long)run_outstanding(r), (unsigned long long)r->client.broken);
    histogram_json("submit", &r->submit);
    printf(",");
    histogram_json("held", &r->held);
    printf(",");
    histogram_json("complete", &r->complete);
    printf(",");
    histogram_json("cycle", &r->cycle);
    printf("}\n");
}

static void print_text(const struct run *r, double seconds)
{
    const struct counts *c = &r->count, *b = &r->at_begin;
    printf("%s: %d producers, %d workers, %d idle pollers, batches of %d/%d/%d (submit, lease, complete)%s, %.1f s\n",
           r->opt.mode, r->opt.producers, r->opt.workers, r->opt.idle_pollers, r->opt.submit_batch, r->opt.batch,
           r->opt.complete_batch, r->opt.take_next ? ", a completion takes the next" : "", seconds);
    printf("  %.0f cycles/s (submit, lease, complete), %.0f submits/s\n",
           (double)(r->at_end.completed - b->completed) / seconds,
           (double)(r->at_end.submitted - b->submitted) / seconds);
    histogram_text("submit", &r->submit);
    histogram_text("submit to held lease", &r->held);
    histogram_text("complete", &r->complete);
    histogram_text("whole cycle", &r->cycle);
    printf("  %llu submitted, %llu leased, %llu completed; %llu refused, %llu errors, %llu leased twice, %lld lost\n",
           (unsigned long long)c->submitted, (unsigned long long)c->leased, (unsigned long long)c->completed,
           (unsigned long long)c->refused, (unsigned long long)c->errors, (unsigned long long)c->doubled,
           (long long)run_outstanding(r));
}

void report_print(const struct run *r)
{
    double seconds = (double)(r->end_us - r->begin_us) / 1e6;
    if (r->opt.json)
        print_json(r, seconds);
    else
        print_text(r, seconds);
}

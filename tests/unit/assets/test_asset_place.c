/* SPDX-License-Identifier: Apache-2.0 */
/* Links to assets where a server looks for its models. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "assets/asset_place.h"

#define PLACE "checkpoints/old ones/sd15.safetensors"

static char cache[4200], content[2][4300];

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int fresh(void **state)
{
    char here[4096];
    (void)state;
    if (system("rm -rf cache models") != 0 || mkdir("cache", 0700) < 0 || mkdir("models", 0755) < 0 ||
        !getcwd(here, sizeof here))
        return -1;
    snprintf(cache, sizeof cache, "%s/cache", here);
    for (int i = 0; i < 2; i++) {
        snprintf(content[i], sizeof content[i], "%s/%d", cache, i);
        write_file(content[i], i ? "new" : "old");
    }
    return 0;
}

static int make(const char *place, int which, struct bp_err *err)
{
    *err = (struct bp_err){0};
    return asset_place_make("models", place, content[which], cache, err);
}

static void reads(const char *path, const char *text)
{
    char found[20] = "";
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(found, sizeof found, f));
    fclose(f);
    assert_string_equal(found, text);
}

static void a_server_finds_the_content_under_its_own_name(void **state)
{
    struct bp_err err;
    (void)state;
    assert_int_equal(make(PLACE, 0, &err), BP_OK);
    reads("models/" PLACE, "old");
    assert_int_equal(make(PLACE, 0, &err), BP_OK); /* as another worker does */
    assert_int_equal(make(PLACE, 1, &err), BP_OK); /* another version of it */
    reads("models/" PLACE, "new");
    assert_int_equal(make("top.ckpt", 0, &err), BP_OK);
    reads("models/top.ckpt", "old");
}

static void what_the_operator_put_there_stays(void **state)
{
    struct bp_err err;
    (void)state;
    write_file("models/own.ckpt", "mine");
    assert_int_equal(make("own.ckpt", 0, &err), BP_INVALID);
    assert_non_null(strstr(err.text, "models/own.ckpt is there already"));
    reads("models/own.ckpt", "mine");
    assert_int_equal(symlink("/nowhere", "models/link.ckpt"), 0);
    assert_int_equal(make("link.ckpt", 0, &err), BP_INVALID);
    assert_int_equal(make("own.ckpt/x", 0, &err), BP_IO);
    assert_int_equal(asset_place_make("no folder", "x", content[0], cache, &err), BP_IO);
    assert_non_null(strstr(err.text, "worker.modelsDir"));
}

static void links_to_what_the_cache_dropped_go_with_the_next(void **state)
{
    struct bp_err err;
    struct stat st;
    (void)state;
    assert_int_equal(make("gone.ckpt", 0, &err), BP_OK);
    assert_int_equal(symlink("/nowhere", "models/link.ckpt"), 0);
    unlink(content[0]);
    assert_int_equal(make("here.ckpt", 1, &err), BP_OK);
    assert_int_equal(lstat("models/gone.ckpt", &st), -1);
    assert_int_equal(lstat("models/link.ckpt", &st), 0);
    reads("models/here.ckpt", "new");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_server_finds_the_content_under_its_own_name, fresh),
        cmocka_unit_test_setup(what_the_operator_put_there_stays, fresh),
        cmocka_unit_test_setup(links_to_what_the_cache_dropped_go_with_the_next, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

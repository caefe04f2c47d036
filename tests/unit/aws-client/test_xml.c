/* SPDX-License-Identifier: Apache-2.0 */
/* XML answers: what is read out of them, and what is refused. */
#include "cm.h"
#include "form.h"
#include "xml.h"

#include <stdlib.h>
#include <string.h>

static struct xml *parse(const char *text)
{
    struct bp_err err = {0};
    return xml_parse(text, strlen(text), &err);
}

static void members_texts_and_numbers(void **state)
{
    (void)state;
    struct xml *x = parse(
        "\n<?xml version=\"1.0\"?><a:R xmlns:a=\"u\"><RResult><L><member><N>1</N></member><member><N> 2 </N></member>"
        "<other/></L><B>true</B><T>2026-01-31T12:00:00.250Z</T><E>a&amp;b</E></RResult><Id>i</Id></a:R>");
    assert_non_null(x);
    const struct xml *r = xml_result(x), *m = xml_first(r, "L/member");
    assert_string_equal(xml_name(x), "R");
    assert_int_equal(xml_int(m, "N", -1), 1);
    m = xml_next(m);
    assert_int_equal(xml_int(m, "N", -1), 2);
    assert_null(xml_next(m));
    assert_true(xml_bool(r, "B"));
    assert_int_equal(xml_time_ms(r, "T"), 1769860800250LL);
    assert_string_equal(xml_text(r, "E"), "a&b");
    assert_string_equal(xml_text(r, "L"), "");
    assert_string_equal(xml_text(NULL, "L"), "");
    assert_int_equal(xml_int(r, "E", -7), -7);
    assert_int_equal(xml_time_ms(r, "E"), 0);
    xml_free(x);
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "<a>",
                                      "<a></b>",
                                      "text",
                                      "<a/><b/>",
                                      "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
                                      "<!DOCTYPE html><html/>",
                                      "<a>\x01</a>"};
    char *deep = malloc(2000);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(parse(bad[i]));
    for (int i = 0; i < 100; i++)
        memcpy(deep + 3 * i, "<a>", 4);
    for (int i = 0; i < 100; i++)
        memcpy(deep + 300 + 4 * i, "</a>", 5);
    assert_null(parse(deep));
    free(deep);
}

static void forms_are_encoded_in_order(void **state)
{
    (void)state;
    struct form *f = form_new();
    form_put(f, "a b&c/d", "Tags.member.%d.Key", 1);
    form_put(f, NULL, "Absent");
    form_put_int(f, -5, "N");
    form_put_bool(f, 1, "B");
    form_put_num(f, 0.25, "X");
    form_put_time(f, 1769860800000LL, "T");
    assert_string_equal(form_text(f, NULL),
                        "Tags.member.1.Key=a%20b%26c%2Fd&N=-5&B=true&X=0.25&T=2026-01-31T12%3A00%3A00Z");
    for (int i = 0; i < 3000; i++)
        form_put(f, "value of some length, to make it grow", "Long.member.%d", i);
    assert_false(form_failed(f));
    form_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_texts_and_numbers),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(forms_are_encoded_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

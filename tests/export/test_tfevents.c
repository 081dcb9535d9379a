/* test_tfevents.c - event files byte by byte, and what they are made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "export/crc32c.h"
#include "export/tfevents.h"

static void assert_hex(const struct wire *w, const char *wanted)
{
    char hex[2048] = "";
    assert_true(2 * w->size < sizeof hex);
    for (size_t i = 0; i < w->size; i++)
        snprintf(hex + 2 * i, 3, "%02x", w->data[i]);
    assert_string_equal(hex, wanted);
}

/* RFC 3720, appendix B.4, and the value that TensorFlow's own test has for the mask. */
static void test_crc32c__of_known_texts(void **state)
{
    (void)state;
    unsigned char bytes[32] = {0};
    assert_int_equal(crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(bytes, sizeof bytes), 0x8a9136aa);
    for (int i = 0; i < 32; i++)
        bytes[i] = (unsigned char)i;
    assert_int_equal(crc32c(bytes, sizeof bytes), 0x46dd794e);
    assert_int_equal(crc32c("", 0), 0);
    assert_int_equal(crc32c_masked("123456789", 9), 0xc78ab0e5);
}

/* As RecordWriter of TensorBoard 2.21.0 writes these two events; 2026-11-24. */
static void test_tfevents__golden_bytes(void **state)
{
    (void)state;
    struct tfevents t = {0};
    tfevents_start(&t, 1.0);
    tfevents_scalar(&t, "train/loss", 0.5f);
    tfevents_end(&t, 2.0, 5);
    tfevents_end(&t, 3.0, 6); /* without values: nothing */
    assert_hex(&t.file, "1800000000000000a37f4b2209000000000000f03f1a0d627261696e2e4576656e743a32"
                        "86bf577a"
                        "200000000000000029eda95009000000000000004010052a130a110a0a747261696e2f6c"
                        "6f7373150000003f692b299c");
    tfevents_release(&t);
}

static void test_wire__numbers_take_as_many_bytes_as_they_need(void **state)
{
    (void)state;
    struct wire w = {0}, inner = {0};
    wire_integer(&w, 1, 0);
    wire_integer(&w, 2, 300);
    wire_integer(&w, 3, -1); /* ten bytes: two's complement in 64 bits */
    wire_integer(&w, 16, 127);
    wire_text(&inner, 2, "testing");
    wire_message(&w, 4, &inner);
    wire_double(&w, 5, 1.0);
    wire_text(&w, 6, "");
    assert_hex(&w, "0800"
                   "10ac02"
                   "18ffffffffffffffffff01"
                   "80017f"
                   "2209120774657374696e67"
                   "29000000000000f03f"
                   "3200");
    wire_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c__of_known_texts),
        cmocka_unit_test(test_tfevents__golden_bytes),
        cmocka_unit_test(test_wire__numbers_take_as_many_bytes_as_they_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

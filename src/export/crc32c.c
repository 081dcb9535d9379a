/* crc32c.c - see crc32c.h. Bit by bit: a log of a long run takes some hundredths of a second. */
#include "export/crc32c.h"

uint32_t crc32c(const void *data, size_t bytes)
{
    const unsigned char *p = data;
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78 & (0u - (crc & 1)));
    }
    return ~crc;
}

uint32_t crc32c_masked(const void *data, size_t bytes)
{
    uint32_t crc = crc32c(data, bytes);
    return (crc >> 15 | crc << 17) + 0xa282ead8;
}

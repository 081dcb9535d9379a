/* crc32c.h - CRC-32C (Castagnoli): polynomial 0x1EDC6F41, reflected 0x82F63B78, as in iSCSI
 * (RFC 3720) and TensorFlow's records. */
#ifndef KILN_EXPORT_CRC32C_H
#define KILN_EXPORT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of "123456789": 0xE3069283. */
uint32_t crc32c(const void *data, size_t bytes);

/* Rotated and shifted, so that the CRC of bytes that hold CRCs stays good: TensorFlow's. */
uint32_t crc32c_masked(const void *data, size_t bytes);

#endif

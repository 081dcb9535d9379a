/* hash.h - SHA-256 and MD5 of bytes that come in pieces. */
#ifndef KILN_BASE_HASH_H
#define KILN_BASE_HASH_H

#include <stddef.h>

enum hash_kind { HASH_SHA256, HASH_MD5 };

enum { HASH_HEX = 65, HASH_BYTES = 32 }; /* room for the longest, with its end */

struct hash {
    void *context; /* OpenSSL's */
};

/* Starts a hash; every hash_init needs one hash_hex or hash_bytes, which releases it. */
void hash_init(struct hash *h, enum hash_kind kind);
void hash_add(struct hash *h, const void *data, size_t bytes);

/* Ends the hash and writes it as lower-case hexadecimal digits with an end. */
void hash_hex(struct hash *h, char hex[HASH_HEX]);

/* Ends the hash and writes its 32 (SHA-256) or 16 (MD5) bytes. */
void hash_bytes(struct hash *h, unsigned char bytes[HASH_BYTES]);

/* The hash of one block. */
void hash_of(enum hash_kind kind, const void *data, size_t bytes, char hex[HASH_HEX]);

#endif

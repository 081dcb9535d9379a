/* hash.c - see hash.h. */
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

/* OpenSSL's digests fail only when there is no memory or the build lacks the algorithm. */
static void must(int ok)
{
    if (ok)
        return;
    fprintf(stderr, "kiln: out of memory in OpenSSL\n");
    exit(1);
}

void hash_init(struct hash *h, enum hash_kind kind)
{
    h->context = EVP_MD_CTX_new();
    must(h->context != NULL);
    must(EVP_DigestInit_ex(h->context, kind == HASH_MD5 ? EVP_md5() : EVP_sha256(), NULL));
}

void hash_add(struct hash *h, const void *data, size_t bytes)
{
    must(EVP_DigestUpdate(h->context, data, bytes));
}

static unsigned finish(struct hash *h, unsigned char *bytes)
{
    unsigned n = 0;
    must(EVP_DigestFinal_ex(h->context, bytes, &n));
    EVP_MD_CTX_free(h->context);
    h->context = NULL;
    return n;
}

void hash_bytes(struct hash *h, unsigned char bytes[HASH_BYTES])
{
    finish(h, bytes);
}

void hash_hex(struct hash *h, char hex[HASH_HEX])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = finish(h, bytes);
    for (unsigned i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

void hash_of(enum hash_kind kind, const void *data, size_t bytes, char hex[HASH_HEX])
{
    struct hash h;
    hash_init(&h, kind);
    hash_add(&h, data, bytes);
    hash_hex(&h, hex);
}

/* tfevents.c - see tfevents.h. Numbers of fields are from TensorFlow's event.proto and
 * summary.proto, and from TensorBoard's plugins/hparams/plugin_data.proto. */
#include "export/tfevents.h"

#include <string.h>

#include "export/crc32c.h"

/* Appends the event as a record, and releases it. */
static void add_record(struct tfevents *t, struct wire *event)
{
    uint64_t length = event->size;
    uint32_t length_crc = crc32c_masked(&length, sizeof length);
    uint32_t data_crc = crc32c_masked(event->data, event->size);
    wire_raw(&t->file, &length, sizeof length);
    wire_raw(&t->file, &length_crc, sizeof length_crc);
    wire_raw(&t->file, event->data, event->size);
    wire_raw(&t->file, &data_crc, sizeof data_crc);
    wire_release(event);
}

void tfevents_start(struct tfevents *t, double wall)
{
    struct wire event = {0};
    wire_double(&event, 1, wall);
    wire_text(&event, 3, "brain.Event:2");
    add_record(t, &event);
}

void tfevents_scalar(struct tfevents *t, const char *tag, float value)
{
    struct wire v = {0};
    wire_text(&v, 1, tag);
    wire_float(&v, 2, value);
    wire_message(&t->summary, 1, &v);
}

void tfevents_end(struct tfevents *t, double wall, int64_t step)
{
    struct wire event = {0};
    if (t->summary.size == 0)
        return;
    wire_double(&event, 1, wall);
    wire_integer(&event, 2, step);
    wire_message(&event, 5, &t->summary);
    add_record(t, &event);
}

/* One entry of map<string, google.protobuf.Value>. */
static void add_setting(struct hparams *h, const char *key, struct wire *value)
{
    struct wire entry = {0};
    wire_text(&entry, 1, key);
    wire_message(&entry, 2, value);
    wire_message(&h->settings, 1, &entry);
}

void hparams_number(struct hparams *h, const char *key, double value)
{
    struct wire v = {0};
    wire_double(&v, 2, value);
    add_setting(h, key, &v);
}

void hparams_text(struct hparams *h, const char *key, const char *value)
{
    struct wire v = {0};
    wire_text(&v, 3, value);
    add_setting(h, key, &v);
}

void tfevents_hparams(struct tfevents *t, struct hparams *h, const char *group, double wall)
{
    struct wire data = {0}, plugin = {0}, metadata = {0}, value = {0};
    wire_text(&h->settings, 4, group);
    wire_double(&h->settings, 5, wall);
    wire_message(&data, 3, &h->settings); /* session_start_info; version = 1 is 0 */
    wire_text(&plugin, 1, "hparams");
    wire_message(&plugin, 2, &data);
    wire_message(&metadata, 1, &plugin);
    wire_text(&value, 1, "_hparams_/session_start_info");
    wire_message(&value, 9, &metadata);
    wire_message(&t->summary, 1, &value);
    tfevents_end(t, wall, 0);
}

void tfevents_release(struct tfevents *t)
{
    wire_release(&t->file);
    wire_release(&t->summary);
}

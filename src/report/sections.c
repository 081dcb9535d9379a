/* sections.c - the sections of a page, in order. */
#include <string.h>

#include "report/section.h"

extern const struct report_section section_study, section_answer, section_range, section_heat,
    section_optimum, section_parallel, section_training, section_images, section_warnings,
    section_provenance;

const struct report_section *const report_sections[] = {
    &section_study,
    &section_answer,
    &section_range,
    &section_heat,
    &section_optimum,
    &section_parallel,
    &section_training,
    &section_images,
    &section_warnings,
    &section_provenance,
    NULL,
};

const struct report_section *section_find(const char *name)
{
    for (const struct report_section *const *s = report_sections; *s; s++)
        if (strcmp((*s)->name, name) == 0)
            return *s;
    return NULL;
}

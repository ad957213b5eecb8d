#include "tests/unit/core_users.h"

#include "core/user.h"

enum { ROOM = 64 };

const char *users_miscounted(struct fixture *f)
{
	static char text[200];
	struct core_user before[ROOM], after[ROOM];
	uint32_t count = core_users(f->core, before, ROOM, true, 0), found;

	if (f->core->state.header->uncounted)
		return NULL; /* the next core_resumed() counts anew */
	users_recount(f->core);
	found = core_users(f->core, after, ROOM, true, 0);
	for (uint32_t i = 0; i < count && i < found; i++)
		if (before[i].uid != after[i].uid || before[i].objects != after[i].objects ||
		    before[i].bytes != after[i].bytes) {
			snprintf(text, sizeof text,
				 "user %u: %llu objects and %llu bytes were counted, %llu and %llu "
				 "are there",
				 before[i].uid, (unsigned long long)before[i].objects,
				 (unsigned long long)before[i].bytes,
				 (unsigned long long)after[i].objects,
				 (unsigned long long)after[i].bytes);
			return text;
		}
	if (count == found)
		return NULL;
	snprintf(text, sizeof text, "%u users were counted, %u are there; the first has %llu",
		 count, found, (unsigned long long)(count ? before[0].objects : 0));
	return text;
}

struct core_user use_of(struct fixture *f, uid_t uid)
{
	struct core_user user = {.uid = uid};

	core_users(f->core, &user, 1, false, uid);
	return user;
}

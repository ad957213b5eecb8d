/* What a former worker left is not believed. It was killed, perhaps because it had been taken over,
 * and may have written anything: whatever the next one uses as an index, a length, a link or a
 * choice is looked at first, so that no content makes it read or write beyond the area, run for
 * ever or die.
 *
 * What cannot be right is taken out: an object is not known any more (its node is stale, its name
 * leads to it again), a handle is closed, an account or member is none. What is merely out of range
 * is put in order. What any worker leaves that was killed between two instructions passes
 * unchanged.
 *
 * It is no defence of what the state says: that one object's slot speaks of another's inode, or
 * that counts are wrong, cannot be seen here. A worker could do that to the tree itself. */
#ifndef MAPPINGFS_CORE_STATE_CHECK_H
#define MAPPINGFS_CORE_STATE_CHECK_H

#include "core/state.h"

/* Before the log is redone: forgets one that leads elsewhere. */
void state_check_log(struct state *state);
/* After it. Looks at what is in use only, and logs what it found. memfd, offset: as state_open().
 */
void state_check(struct state *state, int memfd, uint64_t offset);
/* Its name is one, and ends. Where it is used: in trees whose inodes are opened by handle, no place
 * is. */
bool state_place_is_sound(const struct slot_place *place);

#endif

#include "core/pointers.h"

#include "core/util.h"

void pointers_finish(struct pointers *p)
{
	map_finish(&p->index);
	free(p->items);
	free(p->free);
	*p = (struct pointers){0};
}

static int grow(struct pointers *p)
{
	uint32_t capacity = p->capacity ? p->capacity * 2 : 64;
	void **items = reallocarray(p->items, capacity, sizeof *items);
	uint32_t *indices;

	if (!items)
		return -ENOMEM;
	p->items = items;
	indices = reallocarray(p->free, capacity, sizeof *indices);
	if (!indices)
		return -ENOMEM;
	p->free = indices;
	p->capacity = capacity;
	return 0;
}

int pointers_put(struct pointers *p, uint64_t key, void *item)
{
	uint32_t at;
	int rc;

	if (!p->free_count && p->high == p->capacity) {
		rc = grow(p);
		if (rc < 0)
			return rc;
	}
	at = p->free_count ? p->free[p->free_count - 1] : p->high;
	rc = map_put(&p->index, key, at);
	if (rc < 0)
		return rc;
	if (p->free_count)
		p->free_count--;
	else
		p->high++;
	p->items[at] = item;
	return 0;
}

void *pointers_get(const struct pointers *p, uint64_t key)
{
	uint32_t at;

	return map_get(&p->index, key, &at) ? p->items[at] : NULL;
}

void pointers_remove(struct pointers *p, uint64_t key)
{
	uint32_t at;

	if (!map_get(&p->index, key, &at))
		return;
	map_remove(&p->index, key);
	p->items[at] = NULL;
	p->free[p->free_count++] = at;
}

void pointers_each(struct pointers *p, void (*each)(void *context, void *item), void *context)
{
	for (uint32_t i = 0; i < p->high; i++)
		if (p->items[i])
			each(context, p->items[i]);
}

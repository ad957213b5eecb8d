#include "tests/soak/soak.h"

static uint64_t state;

uint64_t random_next(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

void random_seed(uint64_t a, uint64_t b, uint64_t c)
{
	state = a;
	state = random_next() ^ b;
	state = random_next() ^ c;
}

unsigned pick(unsigned below)
{
	return (unsigned)(random_next() % below);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "packet/ipsec/esp.h"

#include "base/siphash.h"
#include "packet/engine/worker.h"
#include "wire/esp.h"
#include "wire/network.h"

#include <rte_cryptodev.h>

/* What a synchronous call reads, for a burst. */
struct batch {
	struct esp_work *works[ESP_BURST];
	uint16_t count;
	union rte_crypto_sym_ofs offsets;
	struct rte_crypto_vec data[ESP_BURST];
	struct rte_crypto_sgl lists[ESP_BURST];
	struct rte_crypto_va_iova_ptr iv[ESP_BURST], aad[ESP_BURST], digest[ESP_BURST];
	int32_t status[ESP_BURST];
	uint8_t nonces[ESP_BURST][SA_IV_MAX];
	uint8_t aads[ESP_BURST][16];
	uint8_t icvs[ESP_BURST][SA_ICV_MAX];
	uint8_t borrowed[ESP_BURST][ESP_ROOM_BORROWED];
};

static void store64(uint8_t *at, uint64_t value)
{
	network_store32(at, (uint32_t)(value >> 32));
	network_store32(at + 4, (uint32_t)value);
}

static void count_into(uint64_t *counter, uint64_t value)
{
	/* Relaxed: statistics, and limits that need not be exact to the packet of one burst. */
	if (value)
		__atomic_add_fetch(counter, value, __ATOMIC_RELAXED);
}

static void note_use(struct sa *sa, uint64_t packets, uint64_t bytes, uint64_t now_s)
{
	count_into(&sa->counters.packets, packets);
	count_into(&sa->counters.bytes, bytes);
	if (__atomic_load_n(&sa->counters.last_used_s, __ATOMIC_RELAXED) != now_s)
		__atomic_store_n(&sa->counters.last_used_s, now_s, __ATOMIC_RELAXED);
}

/* How many packets may still be handled; the SA is over at the hard one. */
static bool is_over(const struct sa *sa)
{
	const struct sa_lifetime *life = &sa->lifetime;

	return __atomic_load_n(&sa->is_over, __ATOMIC_RELAXED)
		|| (life->hard_packets
			&& __atomic_load_n(&sa->counters.packets, __ATOMIC_RELAXED)
				>= life->hard_packets)
		|| (life->hard_bytes
			&& __atomic_load_n(&sa->counters.bytes, __ATOMIC_RELAXED)
				>= life->hard_bytes);
}

static void refuse_all(
	struct sa *sa, struct esp_work *const *works, uint16_t count, enum drop_reason reason)
{
	for (uint16_t i = 0; i < count; i++)
		works[i]->reason = (uint8_t)reason;
	count_into(&sa->counters.refused, count);
}

/* ---- what the algorithms are fed with ---- */

/* Nonce of the packet at index i: salt, then the IV as it is in the packet. */
static void set_nonce(struct batch *batch, uint16_t i, const struct sa *sa, uint8_t *iv)
{
	uint8_t *nonce = batch->nonces[i];

	if (sa->crypto.cipher == SA_CIPHER_AES_CBC) {
		batch->iv[i].va = iv;
		return;
	}
	memcpy(nonce, sa->crypto.salt, SA_SALT_SIZE);
	if (sa->crypto.iv_size)
		memcpy(nonce + SA_SALT_SIZE, iv, 8);
	network_store32(nonce + 12, 1); /* RFC 3686 section 4: the block counter begins with 1 */
	batch->iv[i].va = nonce;
}

/* RFC 4106 section 5: SPI and the number, of 64 bits when it is an extended one. */
static void set_aad(struct batch *batch, uint16_t i, const struct sa *sa, uint64_t sequence)
{
	uint8_t *aad = batch->aads[i];

	memcpy(aad, &sa->spi_wire, 4);
	if (sa->has_esn)
		store64(aad + 4, sequence);
	else
		network_store32(aad + 4, (uint32_t)sequence);
	batch->aad[i].va = aad;
}

/* RFC 4543 section 3: for GMAC the extended number stands between SPI and the rest, where the
 * packet has no room: SPI and its upper half are written four bytes earlier for the time. */
static void borrow(struct batch *batch, uint16_t i, uint8_t *esp, uint64_t sequence)
{
	memcpy(batch->borrowed[i], esp - ESP_ROOM_BORROWED, ESP_ROOM_BORROWED);
	memcpy(esp - ESP_ROOM_BORROWED, esp, 4);
	network_store32(esp, (uint32_t)(sequence >> 32));
}

static void give_back(const struct batch *batch, uint16_t i, uint8_t *esp)
{
	memcpy(esp, esp - ESP_ROOM_BORROWED, 4);
	memcpy(esp - ESP_ROOM_BORROWED, batch->borrowed[i], ESP_ROOM_BORROWED);
}

/* esp: the packet with room for the ICV behind esp_size bytes of it. icv: what is to be compared
 * with, or where it goes. */
static void feed(struct batch *batch, uint16_t i, const struct sa *sa, uint8_t *esp,
	uint32_t esp_size, uint64_t sequence, uint8_t *icv)
{
	const struct sa_crypto *crypto = &sa->crypto;
	uint32_t head = ESP_HEADER_SIZE + crypto->iv_size;
	uint8_t *start = esp;
	uint32_t size = esp_size;

	set_nonce(batch, i, sa, esp + ESP_HEADER_SIZE);
	batch->digest[i].va = icv;
	batch->lists[i] = (struct rte_crypto_sgl){.vec = &batch->data[i], .num = 1};
	if (crypto->kind == SA_CRYPTO_AEAD) {
		set_aad(batch, i, sa, sequence);
		start += head;
		size -= head;
	} else if (crypto->kind == SA_CRYPTO_GMAC && sa->has_esn) {
		borrow(batch, i, esp, sequence);
		start -= ESP_ROOM_BORROWED;
		size += ESP_ROOM_BORROWED;
	} else if (crypto->kind == SA_CRYPTO_HMAC && sa->has_esn) {
		/* RFC 4303 section 2.2.1: behind the next header, and not sent. */
		network_store32(esp + esp_size, (uint32_t)(sequence >> 32));
		size += 4;
	}
	batch->data[i] = (struct rte_crypto_vec){.base = start, .len = size, .tot_len = size};
}

static void set_offsets(struct batch *batch, const struct sa *sa)
{
	batch->offsets.raw = 0;
	if (sa->crypto.kind != SA_CRYPTO_HMAC)
		return;
	batch->offsets.ofs.cipher.head = (uint16_t)(ESP_HEADER_SIZE + sa->crypto.iv_size);
	batch->offsets.ofs.cipher.tail = sa->has_esn ? 4 : 0;
}

static void run(struct batch *batch, const struct sa *sa)
{
	struct rte_crypto_sym_vec vectors = {.num = batch->count,
		.src_sgl = batch->lists,
		.iv = batch->iv,
		.digest = batch->digest,
		.aad = batch->aad,
		.status = batch->status};

	set_offsets(batch, sa);
	rte_cryptodev_sym_cpu_crypto_process(
		sa->crypto.device, sa->crypto.session, batch->offsets, &vectors);
}

/* ---- opening ---- */

/* DROP_none: worth decrypting. */
static enum drop_reason look(struct sa *sa, struct esp_work *work)
{
	uint32_t around = ESP_HEADER_SIZE + sa->crypto.iv_size + sa->crypto.icv_size;
	uint32_t low;

	if (work->size < around + ESP_TAIL_SIZE
		|| (work->size - around) % sa->crypto.alignment != 0)
		return DROP_ipsec_malformed;
	low = network_load32(work->at + 4);
	work->sequence = sa->has_esn ? replay_extend(&sa->window, low) : low;
	if (replay_is_new(&sa->window, work->sequence))
		return DROP_none;
	count_into(&sa->counters.replays, 1);
	return DROP_ipsec_replay;
}

static void gather(
	struct batch *batch, struct sa *sa, struct esp_work *const *works, uint16_t count)
{
	uint32_t icv_size = sa->crypto.icv_size;

	batch->count = 0;
	for (uint16_t i = 0; i < count; i++) {
		struct esp_work *work = works[i];
		uint16_t at = batch->count;

		work->reason = (uint8_t)look(sa, work);
		if (unlikely(work->reason != DROP_none))
			continue;
		/* Apart, since an extended number may be written over it. */
		memcpy(batch->icvs[at], work->at + work->size - icv_size, icv_size);
		feed(batch, at, sa, work->at, work->size - icv_size, work->sequence,
			batch->icvs[at]);
		batch->works[at] = work;
		batch->count++;
	}
}

/* RFC 4303 section 2.4: 1, 2, 3… */
static bool is_padding(const uint8_t *bytes, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++)
		if (bytes[i] != i + 1)
			return false;
	return true;
}

/* What is authentic may still be wrong. */
static enum drop_reason read_tail(const struct sa *sa, struct esp_work *work)
{
	uint32_t head = ESP_HEADER_SIZE + sa->crypto.iv_size;
	uint8_t *payload = work->at + head;
	uint32_t size = work->size - head - sa->crypto.icv_size - ESP_TAIL_SIZE;
	uint32_t padding = payload[size];

	if (padding > size || !is_padding(payload + size - padding, padding))
		return DROP_ipsec_padding;
	work->next_header = payload[size + 1];
	work->at = payload;
	work->size = size - padding;
	return DROP_none;
}

/* The window moves for what is authentic alone. */
static void accept(struct sa *sa, struct batch *batch)
{
	uint32_t replays = 0, forged = 0;

	rte_spinlock_lock(&sa->lock);
	for (uint16_t i = 0; i < batch->count; i++) {
		struct esp_work *work = batch->works[i];

		if (unlikely(batch->status[i] != 0)) {
			work->reason = DROP_ipsec_icv;
			forged++;
		} else if (unlikely(!replay_accept(&sa->window, work->sequence))) {
			work->reason = DROP_ipsec_replay;
			replays++;
		}
	}
	/* Before any of them goes on, so that no next life accepts it again. Relaxed: it is memory
	 * of the kernel's, in which stores of a killed process stay. */
	__atomic_store_n(&sa->record->highest, sa->window.highest, __ATOMIC_RELAXED);
	rte_spinlock_unlock(&sa->lock);
	count_into(&sa->counters.replays, replays);
	count_into(&sa->counters.forged, forged);
}

void esp_open(struct sa *sa, struct esp_work *const *works, uint16_t count, uint64_t now_s)
{
	bool has_borrowed = sa->crypto.kind == SA_CRYPTO_GMAC && sa->has_esn;
	uint64_t packets = 0, bytes = 0;
	struct batch batch;

	if (unlikely(is_over(sa))) {
		refuse_all(sa, works, count, DROP_ipsec_lifetime);
		return;
	}
	gather(&batch, sa, works, count);
	if (batch.count == 0)
		return;
	run(&batch, sa);
	for (uint16_t i = 0; has_borrowed && i < batch.count; i++)
		give_back(&batch, i, batch.works[i]->at);
	accept(sa, &batch);
	for (uint16_t i = 0; i < batch.count; i++) {
		struct esp_work *work = batch.works[i];

		if (unlikely(work->reason != DROP_none))
			continue;
		work->reason = (uint8_t)read_tail(sa, work);
		packets++;
		bytes += work->size;
	}
	note_use(sa, packets, bytes, now_s);
}

/* ---- sealing ---- */

/* The first of up to *count numbers in a row, which may be fewer. */
static uint64_t take_sequence(struct sa *sa, uint16_t *count)
{
	uint64_t last = __atomic_load_n(&sa->sequence, __ATOMIC_RELAXED), max, next;

	do {
		max = __atomic_load_n(&sa->sequence_max, __ATOMIC_RELAXED);
		next = RTE_MIN(last + *count, max);
		if (next <= last) {
			*count = 0;
			return 0;
		}
		/* Relaxed: each number is given once; nothing else hangs on it. */
	} while (!__atomic_compare_exchange_n(
		&sa->sequence, &last, next, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	*count = (uint16_t)(next - last);
	return last + 1;
}

static void write_iv(const struct sa *sa, uint8_t *iv, uint64_t sequence)
{
	struct siphash_state state;

	if (sa->crypto.cipher != SA_CIPHER_AES_CBC) {
		if (sa->crypto.iv_size)
			store64(iv, sa->iv_base + sequence);
		return;
	}
	siphash_start(&state, (const uint8_t *)sa->iv_key);
	siphash_add(&state, &sequence, sizeof(sequence));
	siphash_end(&state, iv);
}

/* Puts header, IV, padding and tail around the payload; work is of ESP then. */
static void wrap(const struct sa *sa, struct esp_work *work, uint64_t sequence)
{
	uint32_t esp_size = esp_size_of(sa, work->size);
	uint8_t *esp = work->at - esp_room_before(sa), *tail = work->at + work->size;
	uint32_t padding =
		esp_size - esp_room_before(sa) - work->size - ESP_TAIL_SIZE - sa->crypto.icv_size;

	memcpy(esp, &sa->spi_wire, 4);
	network_store32(esp + 4, (uint32_t)sequence);
	write_iv(sa, esp + ESP_HEADER_SIZE, sequence);
	for (uint32_t i = 0; i < padding; i++)
		*tail++ = (uint8_t)(i + 1);
	*tail++ = (uint8_t)padding;
	*tail = work->next_header;
	work->sequence = sequence;
	work->at = esp;
	work->size = esp_size;
}

void esp_seal(struct sa *sa, struct esp_work *const *works, uint16_t count, uint64_t now_s)
{
	bool has_borrowed = sa->crypto.kind == SA_CRYPTO_GMAC && sa->has_esn;
	uint32_t icv_size = sa->crypto.icv_size;
	uint64_t bytes = 0, first;
	uint16_t taken = count;
	struct batch batch;

	if (unlikely(is_over(sa))) {
		refuse_all(sa, works, count, DROP_ipsec_lifetime);
		return;
	}
	first = take_sequence(sa, &taken);
	if (unlikely(taken < count))
		refuse_all(sa, works + taken, (uint16_t)(count - taken), DROP_ipsec_sequence);
	batch.count = taken;
	for (uint16_t i = 0; i < taken; i++) {
		struct esp_work *work = works[i];

		bytes += work->size;
		work->reason = DROP_none;
		wrap(sa, work, first + i);
		feed(&batch, i, sa, work->at, work->size - icv_size, work->sequence,
			work->at + work->size - icv_size);
		batch.works[i] = work;
	}
	if (taken == 0)
		return;
	run(&batch, sa);
	for (uint16_t i = 0; i < taken; i++) {
		if (has_borrowed)
			give_back(&batch, i, works[i]->at);
		if (unlikely(batch.status[i] != 0))
			works[i]->reason = DROP_ipsec_crypto;
	}
	note_use(sa, taken, bytes, now_s);
}

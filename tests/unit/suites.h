/* suites.h - every unit suite, one line each: test_<name>.c defines Suite *<name>_suite(void). */
#ifndef TESTS_UNIT_SUITES_H
#define TESTS_UNIT_SUITES_H

#include <check.h>

#define UNIT_SUITES(X) \
    X(status)          \
    X(err)             \
    X(buf)             \
    X(hash)            \
    X(utf8)            \
    X(rng)             \
    X(kern)            \
    X(floattext)       \
    X(numtype)         \
    X(idset)           \
    X(block)           \
    X(log)             \
    X(conf)            \
    X(outfile)         \
    X(vecfile)         \
    X(vec_npy)         \
    X(vec_safetensors) \
    X(vec_w2v)         \
    X(vec_w2v_bin)     \
    X(vec_glove)       \
    X(vocab)           \
    X(vecload)         \
    X(index)           \
    X(store)           \
    X(renorm)          \
    X(freeze)          \
    X(init)            \
    X(opt)             \
    X(table)           \
    X(snapshot)        \
    X(place)           \
    X(clocks)          \
    X(silence)         \
    X(why)             \
    X(spec)            \
    X(frame)           \
    X(wire)            \
    X(msg)             \
    X(protocol)        \
    X(hostile)         \
    X(session)         \
    X(fold)            \
    X(shard)           \
    X(reset)           \
    X(source)          \
    X(loads)           \
    X(freezing)        \
    X(cuts)            \
    X(limits)          \
    X(watch)           \
    X(waits)           \
    X(word2vec_text)   \
    X(word2vec)        \
    X(word2vec_cursor) \
    X(bar)             \
    X(spearman)        \
    X(specs)           \
    X(config)          \
    X(link)            \
    X(net)             \
    X(roster)          \
    X(process)         \
    X(failpoint)       \
    X(plan)            \
    X(ckpt_shard)      \
    X(ckpt_cut)        \
    X(ckpt_crash)      \
    X(ckpt_damage)     \
    X(ckpt_page)       \
    X(restored)        \
    X(rejoin)          \
    X(restores)        \
    X(journal)         \
    X(journal_crash)   \
    X(server)          \
    X(budget)          \
    X(bags)

#define UNIT_SUITE_DECLARE(name) Suite *name##_suite(void);
UNIT_SUITES(UNIT_SUITE_DECLARE)
#undef UNIT_SUITE_DECLARE

#endif

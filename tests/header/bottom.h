#ifdef __cplusplus
}
#endif
#endif /* LIBURING_EXT_H */

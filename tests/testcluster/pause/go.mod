module tuning.study/testcluster/pause

go 1.26.0
